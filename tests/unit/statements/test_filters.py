"""What is said of each condition of WHERE and HAVING."""

from __future__ import annotations

import pytest

from dbperf.model.facts import ColumnRef, FilterFacts, StatementFacts, TableRef
from dbperf.statements import analyze_statement

T = TableRef("", "t")


def read(sql: str, dialect: str = "postgresql") -> StatementFacts:
    facts = analyze_statement(sql, dialect)
    assert facts.parsed, facts.reason
    return facts


@pytest.mark.parametrize(
    ("condition", "operator"),
    [
        ("a = 1", "="),
        ("1 <> a", "<>"),
        ("a >= $1", ">="),
        ("a IN (1, 2)", "in"),
        ("a NOT IN (1, 2)", "not in"),
        ("NOT (a IN (1))", "not in"),
        ("a = ANY($1)", "= any"),
        ("a <> ALL($1)", "<> all"),
        ("a LIKE 'x'", "like"),
        ("a NOT LIKE 'x' ESCAPE '!'", "not like"),
        ("a ILIKE 'x'", "ilike"),
        ("a NOT ILIKE 'x'", "not ilike"),
        ("a ~ 'x'", "~"),
        ("a !~* 'x'", "!~*"),
        ("a BETWEEN 1 AND 2", "between"),
        ("a NOT BETWEEN 1 AND 2", "not between"),
        ("a IS NULL", "is null"),
        ("a IS NOT NULL", "is not null"),
        ("NOT a IS NULL", "is not null"),
        ("a IS TRUE", "is true"),
        ("a IS NOT TRUE", "is not true"),
        ("a IS DISTINCT FROM 1", "is distinct from"),
        ("(a = 1 OR b = 2)", "or"),
        ("NOT (a = 1 AND b = 2)", "not and"),
        ("a @> $1", "@>"),
        ("a ?| $1", "?|"),
        ("a && $1", "&&"),
        ("EXISTS (SELECT 1)", "exists"),
        ("NOT EXISTS (SELECT 1)", "not exists"),
        ("a", ""),
        ("NOT a", "not"),
        ("starts_with(a, 'x')", ""),
    ],
)
def test_the_operator(condition: str, operator: str) -> None:
    (found,) = read(f"SELECT 1 FROM t WHERE {condition}").filters
    assert found.operator == operator


@pytest.mark.parametrize(
    ("condition", "items", "value_type"),
    [
        ("a = 1.5", 0, "numeric"),
        ("a = 3", 0, "integer"),
        ("a = -3", 0, "integer"),
        ("a = 3000000000", 0, "bigint"),
        ("a = 9223372036854775808", 0, "numeric"),
        ("a = 1e3", 0, "numeric"),
        ("a = 'x'", 0, ""),
        ("a = NULL", 0, ""),
        ("a = true", 0, "boolean"),
        ("a = $1", 0, ""),
        ("a = $1::NUMERIC", 0, "numeric"),
        ("$1::NUMERIC(10, 2) > a", 0, "numeric"),
        ("a = CAST($1 AS FLOAT)", 0, "float"),
        ("a = $1::double precision", 0, "float"),
        ("a = $1::INTEGER", 0, "integer"),
        ("a = $1::BIGINT", 0, "bigint"),
        ("a = $1::VARCHAR", 0, "varchar"),
        ("a = $1::character varying(9)", 0, "varchar"),
        ("a = $1::timestamp with time zone", 0, "timestamptz"),
        ("a = DATE '2020-01-01'", 0, "date"),
        ("a = $1::uuid", 0, "uuid"),
        ("a BETWEEN 1 AND 2.5", 0, "integer"),
        ("a IN (1, 2, 3)", 3, "integer"),
        ("a IN ($1, $2::bigint)", 2, "bigint"),
        ("a NOT IN ('x', 'y')", 2, ""),
        ("(a, b) IN ((1, 2), (3, 4))", 2, ""),
        ("a IN (SELECT 1 FROM s)", 0, ""),
        ("a = ANY($1)", 0, ""),
        ("a = ANY($1::int[])", 0, "integer"),
        ("a = ANY(ARRAY[1, 2])", 2, "integer"),
        ("a = ANY(ARRAY[$1, $2, $3]::bigint[])", 3, "bigint"),
        ("a <> ALL(ARRAY[1, 2])", 2, "integer"),
        ("a LIKE $1::text", 0, "text"),
        ("a = b", 0, ""),
        ("a::text = b::text", 0, ""),
        ("a = now()", 0, ""),
        ("(a = 1 OR b = 2)", 0, ""),
        ("a IS TRUE", 0, ""),
    ],
)
def test_values(condition: str, items: int, value_type: str) -> None:
    (found,) = read(f"SELECT 1 FROM t WHERE {condition}").filters
    assert (found.items, found.value_type) == (items, value_type)


def test_a_filter_has_its_columns_and_scope() -> None:
    facts = read(
        "SELECT 1 FROM (SELECT a AS x FROM t) d, s.u "
        "WHERE d.x = 1 AND lower(u.name) = $1 AND EXISTS (SELECT 1 FROM t WHERE t.b > u.b AND t.c = 2)"
    )
    u = TableRef("s", "u")
    # A comparison with the query around is a condition on both.
    assert [(each.sql, each.columns, each.of, each.scope) for each in facts.filters] == [
        ("d.x = 1", ("d.x",), (ColumnRef(T, "a"),), 0),
        ("lower(u.name) = $1", ("u.name",), (ColumnRef(u, "name"),), 0),
        ("t.b > u.b", ("t.b", "u.b"), (ColumnRef(T, "b"), ColumnRef(u, "b")), 2),
        ("t.c = 2", ("t.c",), (ColumnRef(T, "c"),), 2),
        ("EXISTS(SELECT 1 FROM t WHERE t.b > u.b AND t.c = 2)", (), (), 0),
    ]
    assert [each.why_not for each in facts.filters if each.operator == "exists"] == [""]


def test_having() -> None:
    facts = read("SELECT a FROM t WHERE b = 1 GROUP BY a HAVING count(*) > 10 AND a = 2 AND max(c) < $1")
    assert facts.filters[1:] == (
        FilterFacts("count(*) > 10", (), "aggregate", "having", 0, True, (), ">", 0, "integer"),
        FilterFacts("a = 2", ("t.a",), "", "having", 0, False, (ColumnRef(T, "a"),), "=", 0, "integer"),
        FilterFacts("max(c) < $1", ("t.c",), "aggregate", "having", 0, True, (ColumnRef(T, "c"),), "<"),
    )


def test_conditions_of_writes() -> None:
    for sql in ("UPDATE t SET a = 1 WHERE b = 2.0", "DELETE FROM t WHERE b = 2.0"):
        assert read(sql).filters == (
            FilterFacts("b = 2.0", ("t.b",), of=(ColumnRef(T, "b"),), operator="=", value_type="numeric"),
        )
