"""Which parameter sets are kept, and that they are copies of plain values."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import pytest

from dbperf.capture.parameters import KEPT, keep, together

PLAIN: list[Any] = [None, True, 1, 1.5, "a", b"a", Decimal("1.10"), date(2024, 2, 29), time(1, 2)]
PLAIN += [datetime(2024, 1, 1, tzinfo=UTC), timedelta(1), UUID(int=1), [1, [2]], (1, "b")]


class Colour(IntEnum):
    RED = 1


def kept(parameters: Any) -> list[Any]:
    samples: list[Any] = []
    keep(samples, 1, parameters)
    return samples


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_plain_value_is_kept(value: Any) -> None:
    assert kept((value,)) == [(value,)]
    assert kept({"name": value}) == [{"name": value}]


@pytest.mark.parametrize(
    "value",
    [object(), {"a": 1}, {1}, Colour.RED, [object()], memoryview(b"a")],
    ids=lambda value: type(value).__name__,
)
def test_a_set_with_anything_else_is_not_kept(value: Any) -> None:
    assert kept((1, value)) == []
    assert kept({"a": 1, "b": value}) == []


def test_no_parameters_are_a_set_too() -> None:
    assert kept(()) == [()]
    assert kept({}) == [{}]


def test_a_list_is_copied() -> None:
    inner = [1]
    samples = kept((inner,))
    inner.append(2)
    assert samples == [([1],)]


@pytest.mark.parametrize("large", ["x" * 4097, b"x" * 4097, ["x" * 100] * 41, list(range(600))])
def test_a_large_set_is_not_kept(large: Any) -> None:
    assert kept((large,)) == []


def test_the_first_stays_and_the_others_are_spread_over_time() -> None:
    late = 0
    for _ in range(50):
        samples: list[Any] = []
        for nth in range(1, 1001):
            keep(samples, nth, (nth,))
        assert len(samples) == KEPT
        assert samples[0] == (1,)
        late += sum(1 for (nth,) in samples if nth > 500)
    assert 50 * 7 * 0.35 < late < 50 * 7 * 0.65


def test_the_applications_random_numbers_stay_the_same() -> None:
    random.seed(1)
    expected = random.random()
    random.seed(1)
    samples: list[Any] = []
    for nth in range(1, 100):
        keep(samples, nth, (nth,))
    assert random.random() == expected


def test_samples_of_two_threads_share_the_places_by_calls() -> None:
    mine, others = list(range(8)), list(range(10, 18))
    assert together([1, 2], 2, [3], 1) == [1, 2, 3]
    assert together([], 0, others, 90) == others
    assert together(mine, 50, others, 50) == [0, 2, 4, 6, 10, 12, 14, 16]
    assert together(mine, 1, others, 999) == [0, 10, 11, 12, 13, 14, 15, 16]
    assert together(mine, 999, others, 1) == mine
    assert together(mine, 999, [], 1) == mine
    assert together(mine, 1, [10], 999) == [0, 1, 2, 3, 4, 5, 6, 10]
