"""Counts as the text that a row of a store holds."""

from __future__ import annotations

from collections import Counter

import pytest

from dbperf.workload.store.counts import Counts, from_text, to_row
from dbperf.workload.store.tables import FIGURES, STATEMENTS


def test_numbers_are_written_in_base_36_and_a_count_of_one_is_left_out() -> None:
    latency = Counter({0: 1, 35: 2, 36: 1, 2**48: 3})
    texts = {name: Counter[int]() for name in STATEMENTS.texts} | {"latency": latency}
    row = to_row(Counts(texts=texts), STATEMENTS)
    assert row["latency"] == "0: z:2 10: 2rrvthnxts:3"
    assert from_text(row["latency"]) == latency


def test_names_are_quoted() -> None:
    counts = Counter({"GET /a:b*c": 1, "ütf \udc80": 2})
    row = to_row(Counts(texts={"counts": counts}), FIGURES)
    assert from_text(row["counts"], named=True) == counts


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", {}),
        ("14: 14: 14:2", {40: 4}),
        ("40*3 14: 41*1", {40: 4, 41: 1}),  # of an older store, and of this version
    ],
)
def test_texts_that_were_joined_are_added_up(text: str, counts: dict[int, int]) -> None:
    assert from_text(text) == counts


@pytest.mark.parametrize("text", ["40", "40*", "4o*1", "40*1*1", "!:1", "40:x", ":1"])
def test_what_dbperf_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever
        from_text(text)
