from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbperf.model.histogram import Latency, bucket_of, merged, middle_of

durations = st.integers(min_value=0, max_value=10**13)


@given(durations)
def test_a_bucket_is_within_its_promised_error(nanoseconds: int) -> None:
    assert middle_of(bucket_of(nanoseconds)) == pytest.approx(nanoseconds, rel=1 / 16)


@given(durations, durations)
def test_buckets_keep_the_order(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


@given(st.lists(durations, min_size=1), st.floats(0, 1))
def test_a_quantile_is_that_of_the_durations(values: list[int], q: float) -> None:
    values.sort()
    latency = Latency.of(Counter(map(bucket_of, values)))
    rank = q * len(values)
    exact = next(value for seen, value in enumerate(values, 1) if seen >= rank)
    assert latency.quantile(q) * 1e9 == pytest.approx(exact, rel=1 / 16)


@given(st.lists(st.lists(durations)))
def test_merging_is_adding(groups: list[list[int]]) -> None:
    parts = [Latency.of(Counter(map(bucket_of, group))) for group in groups]
    whole = Latency.of(Counter(bucket_of(value) for group in groups for value in group))
    assert merged(parts) == whole


def test_edges() -> None:
    assert Latency().quantile(0.5) == 0.0
    assert bucket_of(-5) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        Latency().quantile(95)
