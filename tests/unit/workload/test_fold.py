"""Observations become statements: what is alike is added up, and nothing of the data stays unasked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Observed, Sample, Unseen
from dbperf.workload.fold import fold, merge

BY_ID = "SELECT name FROM author WHERE id = %(id_1)s"


def observed(sql: str = BY_ID, **values: Any) -> Observed:
    given: dict[str, Any] = {"dialect": "postgresql", "paramstyle": "pyformat", "database": "db/5432/shop"}
    return Observed(**(given | {"sql": sql, "calls": 1} | values))


def test_literals_and_parameters_are_one_statement() -> None:
    workload = fold(
        [
            observed("select * from t where a = 1 and b in (1, 2)", execute_ns=10**9, rows=1),
            observed("select  * from t\nwhere a = 7 and b in (1, 2, 3) -- x", execute_ns=10**9, rows=2),
        ]
    )
    (statement,) = workload.statements
    assert (statement.calls, statement.rows, statement.execute_seconds) == (2, 3, 2.0)
    assert statement.samples == ()
    assert "7" not in repr(statement)


def test_everything_adds_up() -> None:
    one = observed(
        parameter_sets=2,
        unread_rows=1,
        errors=1,
        timeouts=1,
        cancellations=2,
        wait_ns=10**9,
        fetch_ns=2 * 10**9,
        failures=(("IntegrityError", 1),),
        operations=(("GET /a", 1),),
        accesses=(Access("again", "GET /a", None, "", None, 1, 2, 3, 4),),
        latency=Latency(((5, 1), (6, 1))),
        call_sites=(CallSite("/a.py", 1, "f", 1), CallSite("/a.py", 2, "g", 3)),
    )
    two = observed(
        parameter_sets=3,
        unread_rows=2,
        errors=3,
        timeouts=2,
        cancellations=4,
        wait_ns=10**9,
        fetch_ns=10**9,
        failures=(("IntegrityError", 2),),
        operations=(("GET /a", 3), ("GET /b", 1)),
        accesses=(Access("again", "GET /a", None, "", None, 1, 1, 1, 1),),
        latency=Latency(((6, 2),)),
        call_sites=(CallSite("/a.py", 1, "f", 6),),
    )
    (statement,) = fold([one, two]).statements
    assert (statement.parameter_sets, statement.errors, statement.cancellations) == (5, 4, 6)
    assert (statement.unread_rows, statement.timeouts) == (3, 3)
    assert (statement.wait_seconds, statement.fetch_seconds) == (2.0, 3.0)
    assert statement.failures == (("IntegrityError", 3),)
    assert statement.operations == (("GET /a", 4), ("GET /b", 1))
    assert statement.accesses == (Access("again", "GET /a", None, "", None, 2, 3, 4, 5),)
    assert statement.latency == Latency(((5, 1), (6, 3)))
    assert statement.call_sites == (CallSite("/a.py", 1, "f", 7), CallSite("/a.py", 2, "g", 3))


def test_databases_and_dialects_are_apart() -> None:
    workload = fold([observed("select 1"), observed("select 1", database="other/5432/shop")])
    assert len(workload.statements) == 2
    assert len(fold([observed("select 1"), observed("select 1", dialect="sqlite")]).statements) == 2


def test_the_slowest_in_total_is_first() -> None:
    names = [("b", 5), ("a", 9), ("c", 7)]
    workload = fold([observed(f"select 1 from {name}", execute_ns=ns) for name, ns in names])
    assert [each.execute_seconds for each in workload.statements] == [9e-9, 7e-9, 5e-9]
    assert workload.seconds == sum([9e-9, 7e-9, 5e-9])


def test_samples_are_positional_in_every_paramstyle() -> None:
    for paramstyle, sql, parameters in (
        ("pyformat", "select * from t where a = %(a)s and b = %(b)s", {"b": 2, "a": 1}),
        ("qmark", "select * from t where a = ? and b = ?", (1, 2)),
        ("numeric_dollar", "select * from t where a = $1 and b = $2", (1, 2)),
    ):
        (statement,) = fold([observed(sql, paramstyle=paramstyle, parameters=(parameters,))]).statements
        assert statement.samples == (Sample("select * from t where a = $1 and b = $2", (1, 2)),)


def test_a_sample_keeps_the_literals_where_parameters_may_be_kept() -> None:
    (statement,) = fold([observed("select * from t where a = 7", parameters=((),))]).statements
    assert "7" not in statement.sql
    assert statement.samples == (Sample("select * from t where a = 7", ()),)


def test_equal_samples_are_kept_once_and_at_most_eight() -> None:
    (statement,) = fold([observed(parameters=({"id_1": 1},)) for _ in range(3)]).statements
    assert len(statement.samples) == 1
    (statement,) = fold([observed(parameters=({"id_1": each},)) for each in range(20)]).statements
    assert [sample.parameters for sample in statement.samples][:2] == [(0,), (2,)]
    assert len(statement.samples) == 8


def test_sql_that_does_not_parse_is_a_statement_too() -> None:
    (statement,) = fold([observed("SELEC ((( nonsense")]).statements
    assert statement.calls == 1
    assert statement.fingerprint


def test_merge_adds_workloads_and_what_they_did_not_see() -> None:
    pool, job = (Figure(kind, "a", "", (("calls", 2),)) for kind in ("pool", "operation"))
    one = fold([observed(execute_ns=10**9)], Unseen(folded_calls=1), [pool])
    two = fold(
        [observed(execute_ns=2 * 10**9), observed("select 1")],
        Unseen(folded_calls=2, observer_failures=1),
        [pool, job],
    )
    both = merge([one, two])
    assert [(each.calls, each.execute_seconds) for each in both.statements] == [(2, 3.0), (1, 0.0)]
    assert both.coverage == Unseen(folded_calls=3, observer_failures=1)
    assert [(each.kind, each.count("calls")) for each in both.figures] == [("operation", 2), ("pool", 4)]
    assert merge([both]) == both
    noted = merge([replace(one, notes=("a", "b")), replace(two, notes=("b", "c"))])
    assert noted.notes == ("a", "b", "c")
    assert merge([]).statements == ()
