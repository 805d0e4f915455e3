"""Observations of the same SQL string become one, and nothing of them is lost."""

from __future__ import annotations

from typing import Any

from dbperf.model.histogram import Latency
from dbperf.model.workload import CallSite, Observed, Unseen, combined


def observed(sql: str = "select 1", database: str = "db/5432/shop", **counts: Any) -> Observed:
    return Observed(sql, "postgresql", "pyformat", database, **counts)


def test_all_is_added() -> None:
    one = observed(
        calls=3,
        parameter_sets=4,
        rows=5,
        errors=1,
        cancellations=2,
        execute_ns=100,
        latency=Latency(((5, 1), (6, 2))),
        call_sites=(CallSite("/a.py", 1, "f", 3),),
        parameters=((1,),),
    )
    two = observed(
        calls=10,
        parameter_sets=10,
        execute_ns=11,
        latency=Latency(((6, 10),)),
        call_sites=(CallSite("/a.py", 2, "f", 9), CallSite("/a.py", 1, "f", 1)),
        parameters=((2,),),
    )
    assert combined([one, two]) == [
        observed(
            calls=13,
            parameter_sets=14,
            rows=5,
            errors=1,
            cancellations=2,
            execute_ns=111,
            latency=Latency(((5, 1), (6, 12))),
            call_sites=(CallSite("/a.py", 2, "f", 9), CallSite("/a.py", 1, "f", 4)),
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
    assert Unseen(1, 2, 3) + Unseen(10, 20, 30) == Unseen(11, 22, 33)
