"""Where the cap of a pool comes from."""

from __future__ import annotations

import pytest

from dbperf.pool import AdaptivePool


def nowhere() -> object:
    raise AssertionError("nothing is connected to")


@pytest.mark.parametrize(
    ("keywords", "cap", "whose"),
    [
        ({}, 15, "default"),
        ({"pool_size": 3}, 13, "pool_size"),
        ({"max_overflow": 1, "max_size": 90}, 6, "pool_size"),
        ({"pool_size": 0, "max_size": 90}, 90, "max_size"),
        ({"max_overflow": -1}, 15, "default"),
    ],
)
def test_whose_cap_it_is(keywords: dict[str, int], cap: int, whose: str) -> None:
    pool = AdaptivePool(nowhere, **keywords)
    assert (pool.cap(), pool.cap_of()) == (cap, whose)
    pool.tick(0.0)  # nobody uses it, and nothing is counted
    assert not pool.metrics.counts()
