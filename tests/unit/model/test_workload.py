"""Observations of the same SQL string become one, and nothing of them is lost."""

from __future__ import annotations

from typing import Any

from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Observed, Seen, Unseen, combined, seen_together

LINE = CallSite("/a.py", 9, "f", 0)


def observed(sql: str = "select 1", database: str = "db/5432/shop", **counts: Any) -> Observed:
    return Observed(sql, "postgresql", "pyformat", database, **counts)


def test_all_is_added() -> None:
    one = observed(
        calls=3,
        parameter_sets=4,
        rows=5,
        unread_rows=4,
        errors=1,
        timeouts=3,
        cancellations=2,
        wait_ns=7,
        execute_ns=100,
        fetch_ns=30,
        latency=Latency(((5, 1), (6, 2))),
        call_sites=(CallSite("/a.py", 1, "f", 3),),
        failures=(("IntegrityError", 1),),
        operations=(("GET /a", 2), ("GET /b", 1)),
        accesses=(Access("loop", "GET /a", LINE, "", None, 1, 3, 90), Access("again", "GET /a")),
        parameters=((1,),),
    )
    two = observed(
        calls=10,
        parameter_sets=10,
        unread_rows=1,
        timeouts=1,
        wait_ns=1,
        execute_ns=11,
        fetch_ns=1,
        latency=Latency(((6, 10),)),
        call_sites=(CallSite("/a.py", 2, "f", 9), CallSite("/a.py", 1, "f", 1)),
        failures=(("QueryCanceled", 1), ("IntegrityError", 1)),
        operations=(("GET /b", 9),),
        accesses=(Access("loop", "GET /a", LINE, "", None, 2, 7, 10, 1),),
        parameters=((2,),),
    )
    assert combined([one, two]) == [
        observed(
            calls=13,
            parameter_sets=14,
            rows=5,
            unread_rows=5,
            errors=1,
            timeouts=4,
            cancellations=2,
            wait_ns=8,
            execute_ns=111,
            fetch_ns=31,
            latency=Latency(((5, 1), (6, 12))),
            call_sites=(CallSite("/a.py", 2, "f", 9), CallSite("/a.py", 1, "f", 4)),
            failures=(("IntegrityError", 2), ("QueryCanceled", 1)),
            operations=(("GET /b", 10), ("GET /a", 2)),
            accesses=(Access("loop", "GET /a", LINE, "", None, 3, 10, 100, 1), Access("again", "GET /a")),
            parameters=((1,), (2,)),
        )
    ]


def test_what_differs_stays_apart() -> None:
    different = [observed(), observed("select 2"), observed(database="other/5432/shop")]
    assert combined(different) == different
    assert combined([]) == []


def test_eight_parameter_sets_are_kept_and_the_first_is_one() -> None:
    (seen,) = combined([observed(parameters=((number,),)) for number in range(20)])
    assert len(seen.parameters) == 8
    assert seen.parameters[0] == (0,)
    assert seen.parameters[-1][0] > 15


def test_what_was_not_seen_adds_up() -> None:
    assert Unseen(1, 2, 3, own_calls=4) + Unseen(10, 20, 30) == Unseen(11, 22, 33, own_calls=4)


def test_what_was_seen_at_several_times_is_one() -> None:
    pool = Figure("pool", "QueuePool", "db/5432/shop", (("checkouts", 2), ("wait.3", 1)))
    one = Seen((observed(calls=1),), (pool,), Unseen(own_calls=1))
    two = Seen((observed(calls=2), observed("select 2")), (pool, Figure("operation", "a", "")), Unseen(2))
    both = seen_together([one, two])
    assert [each.calls for each in both.observed] == [3, 0]
    assert [each.counts for each in both.figures] == [(), (("checkouts", 4), ("wait.3", 2))]
    assert both.unseen == Unseen(folded_calls=2, own_calls=1)
    assert (bool(both), bool(seen_together([])), bool(Seen(unseen=Unseen(own_ns=1)))) == (True, False, True)
