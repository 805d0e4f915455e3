"""What says which rows of two tables belong together, and which outer joins are inner ones."""

from __future__ import annotations

import pytest

from dbperf.model.facts import StatementFacts
from dbperf.statements import analyze_statement


def read(sql: str, columns: dict[str, list[str]] | None = None) -> StatementFacts:
    facts = analyze_statement(sql, columns=columns)
    assert facts.parsed, facts.reason
    return facts


def missing(sql: str, columns: dict[str, list[str]] | None = None) -> list[str]:
    """The tables that nothing joins to those before them."""
    return [each.table.name or each.table.alias for each in read(sql, columns).joins if each.missing]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("a, b", ["b"]),
        ("a CROSS JOIN b", ["b"]),
        ("a CROSS JOIN b WHERE a.x = b.x", []),
        ("a, b WHERE a.x = 1 AND b.x = 2", ["b"]),
        ("a, b WHERE a.x < b.x", []),
        ("a, b WHERE a.x = b.x OR a.y = b.y", []),
        ("a, b WHERE st_contains(a.g, b.g)", []),
        ("a, b WHERE EXISTS (SELECT 1 FROM m WHERE m.a = a.id AND m.b = b.id)", []),
        ("a, b, c WHERE a.x = c.x AND b.y = c.y", []),
        ("a, b, c WHERE b.x = c.x", ["b"]),
        ("a, b, c WHERE a.x = b.x", ["c"]),
        ("a, b JOIN c ON c.x = b.x", ["b"]),
        ("a, b JOIN c ON c.x = b.x AND c.y = a.y", []),
        ("a, b JOIN c USING (x) WHERE a.z = c.z", []),
        ("a, LATERAL (SELECT 1 FROM s WHERE s.x = a.x) l", []),
        ("a CROSS JOIN LATERAL (SELECT 1 FROM s WHERE s.x = a.x) l", []),
        ("a, unnest(a.tags) tag", []),
        ("a, generate_series(1, a.n) n", []),
        ("a, generate_series(1, 9) n", ["n"]),
        ("a, (SELECT 1 FROM s) d", ["d"]),
        ("a, b WHERE x = y", []),
        ("a, b WHERE x = 1", ["b"]),
    ],
)
def test_joins_without_a_condition(sources: str, expected: list[str]) -> None:
    assert missing(f"SELECT 1 FROM {sources}") == expected


def test_the_catalog_tells_whose_the_columns_are() -> None:
    sql = "SELECT 1 FROM a, b WHERE x = 1 AND y = z"
    assert missing(sql, {"a": ["x", "y"], "b": ["z"]}) == []
    assert missing(sql, {"a": ["x", "y", "z"], "b": ["w"]}) == ["b"]


def test_queries_around_join_as_well() -> None:
    facts = read(
        "SELECT 1 FROM o WHERE EXISTS (SELECT 1 FROM a, b WHERE a.x = o.x AND b.y = o.y) "
        "AND EXISTS (SELECT 1 FROM a, b WHERE a.x = o.x)"
    )
    assert [(each.scope, each.missing) for each in facts.joins] == [(1, False), (2, True)]


def test_writes() -> None:
    assert missing("UPDATE t SET x = 1 FROM b, c WHERE t.a = b.a AND t.c = c.c") == []
    assert missing("UPDATE t SET x = 1 FROM b, c WHERE t.a = b.a") == ["c"]
    assert missing("DELETE FROM t USING b WHERE b.x = 1") == ["b"]
    assert missing("MERGE INTO t USING b ON t.a = b.a WHEN MATCHED THEN DELETE") == []


def test_the_condition_of_a_comma_is_what_where_says_of_it() -> None:
    (b, c) = read("SELECT 1 FROM a, b, c WHERE a.x = b.x AND a.y < c.y AND b.z = 3 AND c.z = b.z").joins
    assert (b.condition, b.implicit) == ("a.x = b.x AND c.z = b.z", True)
    assert (c.condition, c.kind) == ("a.y < c.y AND c.z = b.z", "inner")


@pytest.mark.parametrize(
    ("condition", "nullified"),
    [
        ("b.x = 1", True),
        ("1 < b.x", True),
        ("b.x = a.x", True),
        ("b.x <> 1", True),
        ("b.x IN (1, 2)", True),
        ("b.x NOT IN (1, 2)", True),
        ("b.x IN (SELECT 1 FROM s)", True),
        ("b.x NOT IN (SELECT 1 FROM s)", False),
        ("b.x = ANY($1)", True),
        ("NOT b.x = ANY($1)", False),
        ("b.x <> ALL($1)", False),
        ("b.x LIKE 'x%'", True),
        ("b.x NOT LIKE 'x%' ESCAPE '!'", True),
        ("b.x BETWEEN 1 AND 2", True),
        ("b.x NOT BETWEEN 1 AND 2", True),
        ("b.x IS NOT NULL", True),
        ("NOT b.x IS NULL", True),
        ("b.x IS NULL", False),
        ("b.x IS TRUE", True),
        ("b.x IS NOT TRUE", False),
        ("b.x", True),
        ("NOT b.x", True),
        ("b.x IS DISTINCT FROM 1", False),
        ("coalesce(b.x, 1) = 1", False),
        ("a.x = 1", False),
        ("(b.x = 1 OR b.y = 2)", True),
        ("(b.x = 1 OR a.x = 2)", False),
        ("(b.x = 1 OR b.x IS NULL)", False),
        ("(a.x = 1 AND b.x = 1 OR b.y > 2)", True),
        ("NOT (b.x = 1 OR a.x = 1)", True),
        ("NOT (b.x = 1 AND a.x = 1)", False),
        ("EXISTS (SELECT 1 FROM s WHERE s.x = b.x)", False),
    ],
)
def test_a_condition_that_no_row_of_nulls_meets(condition: str, nullified: bool) -> None:
    (join,) = read(f"SELECT 1 FROM a LEFT JOIN b ON a.id = b.id WHERE a.z = 1 AND {condition}").joins
    assert bool(join.nullified_by) is nullified


def nullified_by(sql: str) -> list[str]:
    return [each.nullified_by for each in read(sql).joins]


def test_the_side_that_may_be_null() -> None:
    where = "WHERE b.x = 1 AND a.y = 2"
    assert nullified_by(f"SELECT 1 FROM a LEFT JOIN b ON a.id = b.id {where}") == ["b.x = 1"]
    assert nullified_by(f"SELECT 1 FROM a RIGHT JOIN b ON a.id = b.id {where}") == ["a.y = 2"]
    assert nullified_by(f"SELECT 1 FROM a FULL JOIN b ON a.id = b.id {where}") == ["a.y = 2 AND b.x = 1"]
    assert nullified_by("SELECT 1 FROM a FULL JOIN b ON a.id = b.id WHERE b.x = 1") == [""]
    assert nullified_by(f"SELECT 1 FROM a JOIN b ON a.id = b.id {where}") == [""]
    assert nullified_by("SELECT 1 FROM a LEFT JOIN (SELECT x, id FROM b) d ON a.id = d.id WHERE d.x = 1") == [
        "d.x = 1"
    ]


def test_a_condition_in_on_or_in_another_query_nullifies_nothing() -> None:
    assert nullified_by("SELECT 1 FROM a LEFT JOIN b ON a.id = b.id AND b.x = 1") == [""]
    assert nullified_by(
        "SELECT 1 FROM a LEFT JOIN b ON a.id = b.id WHERE EXISTS (SELECT 1 FROM b WHERE b.x = 1)"
    ) == [""]


def test_on_as_it_is_written() -> None:
    (join,) = read("SELECT 1 FROM a JOIN b ON a.x = b.x AND lower(b.y) = $1 OR true").joins
    assert join.condition == "a.x = b.x AND lower(b.y) = $1 OR TRUE"
