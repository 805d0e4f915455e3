"""What waits to be written has bounds, and what goes beyond them is counted."""

from __future__ import annotations

import pytest

from dbperf.model.runtime import Figure
from dbperf.model.workload import Observed, Seen, Unseen, seen_together
from dbperf.workload import bounds
from dbperf.workload.bounds import OTHER, bounded

NOTHING = Seen()
POOL = Figure("pool", "QueuePool", "db/5432/shop", (("checkouts", 3),))


def observed(sql: str, calls: int, **times: int) -> Observed:
    return Observed(sql, "postgresql", "pyformat", "db/5432/shop", calls=calls, **times)


def operation(number: int, calls: int = 1) -> Figure:
    counts = {"calls": calls, "whole_ns": number * calls * 10**9}
    return Figure.of("operation", f"GET /{number:03}", "", counts)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_STRINGS_KEPT", 2)
    monkeypatch.setattr(bounds, "_FIGURES_KEPT", 10)


def test_what_is_little_stays_as_it_is() -> None:
    seen = seen_together([Seen((observed("a", 1),), (POOL, operation(1)), Unseen(own_calls=1))])
    assert bounded(seen, NOTHING) == seen


def test_strings_that_are_too_many_are_counted_with_their_time() -> None:
    more = (observed("c", 3, execute_ns=30, fetch_ns=4), observed("d", 4, execute_ns=500))
    seen = Seen((observed("a", 1), observed("b", 2), *more), unseen=Unseen(folded_calls=1, own_ns=9))
    left = bounded(seen, NOTHING)
    assert [each.sql for each in left.observed] == ["a", "b"]
    assert left.unseen == Unseen(folded_calls=8, folded_ns=534, own_ns=9)


def test_operations_that_are_too_many_are_added_up_as_one() -> None:
    left = bounded(Seen(figures=(POOL, *map(operation, range(100)))), NOTHING)
    calls = {each.name: each.count("calls") for each in left.figures}
    longest = {f"GET /{number:03}": 1 for number in range(91, 100)}
    assert calls == {"QueuePool": 0, **longest, "other": 91}
    (other,) = [each for each in left.figures if each.key == OTHER.key]
    assert other.count("whole_ns") == sum(range(91)) * 10**9


def test_what_waited_already_keeps_its_name() -> None:
    """However short: a sink that lost the answer to its commit may have written it by that name."""
    waiting = bounded(Seen(figures=tuple(map(operation, range(8)))), NOTHING)
    for number in range(3):
        new = Seen(figures=(POOL, *map(operation, range(100 * number, 100 * number + 50))))
        left = bounded(seen_together([waiting, new]), waiting)
        assert {each.key for each in waiting.figures} <= {each.key for each in left.figures}
        assert len(left.figures) <= 11
        waiting = left
    total = sum(each.count("calls") for each in waiting.figures)
    assert total == 8 + 3 * 50
