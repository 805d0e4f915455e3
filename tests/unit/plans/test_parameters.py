from __future__ import annotations

from dbperf.model.catalog import Catalog, Column, Distribution, Table
from dbperf.model.workload import Sample, Statement
from dbperf.plans.parameters import ParameterSets, parameter_sets
from dbperf.statements import analyze_statement

STATUS = Distribution(distinct=3, common=(("done", 0.9), ("open", 0.08), ("lost", 0.02)))
AT = Distribution(distinct=-1, bounds=tuple(f"2024-01-{day:02}" for day in range(1, 32)))
TABLE = Table(
    "public",
    "orders",
    "r",
    rows=1e5,
    size_bytes=8192 * 1000,
    pages=1000,
    columns={
        "status": Column("status", "text", distribution=STATUS),
        "at": Column("at", "date", distribution=AT),
        "note": Column("note", "text"),
    },
)
CATALOG = Catalog({"public.orders": TABLE}, ("public",), "18.4", 180004, "h/5432/d")


def sets(sql: str, samples: tuple[Sample, ...] = ()) -> ParameterSets:
    statement = Statement(sql, "f", "postgresql", "h/5432/d", samples=samples)
    return parameter_sets(statement, analyze_statement(sql), CATALOG)


def test_captured_sets_come_first_and_are_spread() -> None:
    sql = "SELECT * FROM orders WHERE status = $1"
    samples = tuple(Sample(sql, (number,)) for number in range(9))
    found = sets(sql, samples)
    assert found.origin == "captured"
    assert [each.parameters[0] for each in found.samples] == [0, 2, 4, 6, 8]


def test_a_frequent_a_rare_and_middle_values_of_the_statistics() -> None:
    found = sets("SELECT * FROM orders WHERE status = $1 AND at > $2 LIMIT $3 OFFSET $4")
    assert found.origin == "statistics"
    assert [each.parameters for each in found.samples] == [
        ("done", "2024-01-08", 20, 0),
        ("lost", "2024-01-16", 20, 0),
        ("done", "2024-01-24", 20, 0),
    ]


def test_what_is_written_does_not_matter() -> None:
    found = sets("UPDATE orders SET note = $1 WHERE status = $2")
    assert found.origin == "statistics"
    assert {each.parameters[0] for each in found.samples} == {None}


def test_the_constant_of_exists_is_any_value() -> None:
    exists = "SELECT * FROM orders WHERE EXISTS (SELECT $1 AS anon_1 FROM orders o WHERE o.status = $2)"
    assert [each.parameters for each in sets(exists).samples] == [(1, "done"), (1, "lost")]


def test_without_parameters_there_is_one_set() -> None:
    assert sets("SELECT * FROM orders WHERE status = 'open'") == ParameterSets(
        "none", (Sample("SELECT * FROM orders WHERE status = 'open'"),)
    )


def test_a_value_nobody_knows_makes_the_plan_generic() -> None:
    for condition in ("note = $1", "lower(status) = $1", "status LIKE $1", "length(note) > $1"):
        assert sets(f"SELECT * FROM orders WHERE {condition}") == ParameterSets("generic")
