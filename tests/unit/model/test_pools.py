"""What is read back from the counts of a pool that sizes itself."""

from __future__ import annotations

import pytest

from dbperf.model.pools import Holder, Pool, holders, mean_number, usual_number
from dbperf.model.runtime import Figure, together

COUNTS = {
    "allowed.16": 3000,
    "allowed.40": 1000,
    "open.16": 4000,
    "cap.default": 250,
    "cap.fleet": 3750,
    "waiting.0": 3900,
    "waiting.16": 100,
    "decision.demand": 2,
    "decision.no_gain": 5,
    "retired.unused": 1,
    "executing_ns": 2_000_000_000,
    "idle_in_transaction_ns": 500_000_000,
    "idle_ns": 250_000_000,
    "stalled_ms": 1500,
    "leaks": 3,
    "leaks_returned": 1,
    "refused": 7,
    "spared_pings": 9,
}


def test_a_pool_that_sizes_itself() -> None:
    pool = Pool(Figure.of("pool", "AdaptivePool", "d", COUNTS))
    assert pool.allowed == {16: 3.0, 40: 1.0}
    assert (mean_number(pool.allowed), usual_number(pool.allowed)) == (22.0, 16)
    assert (pool.open, pool.waiting) == ({16: 4.0}, {0: 3.9, 16: 0.1})
    assert list(pool.decisions.items()) == [("no_gain", 5), ("demand", 2)]
    assert pool.retired == {"unused": 1}
    assert (pool.executing_seconds, pool.idle_in_transaction_seconds, pool.idle_seconds) == (2.0, 0.5, 0.25)
    assert (pool.stalled_seconds, pool.leaks, pool.leaks_returned) == (1.5, 3, 1)
    assert (pool.refused, pool.spared_pings, pool.cap_of) == (7, 9, "fleet")


def test_other_pools_count_none_of_it() -> None:
    pool = Pool(Figure.of("pool", "QueuePool", "d", {"checkouts": 1}))
    assert (pool.allowed, pool.decisions, pool.leaks, pool.cap_of) == ({}, {}, 0, "")
    assert (mean_number(pool.allowed), usual_number(pool.allowed)) == (None, None)


@pytest.mark.parametrize(
    "place",
    [
        ("/srv/app.py", 12, "load"),
        ("/srv/my app/a:b.py", 1, "Shop.load.<locals>.inner"),
        ("C:\\app\\shop.py", 7, "<module>"),
        ("", 0, ""),
    ],
)
def test_the_name_of_a_line_tells_it(place: tuple[str, int, str]) -> None:
    assert Holder(Figure("held", Holder.name_of(*place), "d")).place == place


def test_a_name_that_is_no_line() -> None:
    assert Holder(Figure("held", "somebody", "d")).place == ("somebody", 0, "")


def test_lines_add_up_and_those_that_leak_most_come_first() -> None:
    idle = Figure.of("held", "/a.py:1 f", "d", {"idle_in_transaction_ns": 10**9})
    leaking = Figure.of("held", "/b.py:2 g", "d", {"leaks": 1, "leaked_ns": 10**9})
    first, second = holders(together([idle, leaking, leaking]))
    assert (first.place, first.leaks, first.leaks_returned) == (("/b.py", 2, "g"), 2, 0)
    assert (first.leaked_seconds, second.idle_in_transaction_seconds) == (2.0, 1.0)
