"""The queries within a statement: of which kind, where, and whether they use columns of those around them."""

from __future__ import annotations

import pytest

from dbperf.model.facts import ColumnRef, Role, StatementFacts, SubqueryFacts, TableRef
from dbperf.statements import analyze_statement

S, T = TableRef("", "s"), TableRef("", "t")


def read(sql: str) -> StatementFacts:
    facts = analyze_statement(sql)
    assert facts.parsed, facts.reason
    return facts


@pytest.mark.parametrize(
    ("condition", "kind", "compared"),
    [
        ("EXISTS (SELECT b FROM s)", "exists", ""),
        ("NOT EXISTS (SELECT b FROM s)", "not-exists", ""),
        ("NOT (EXISTS (SELECT b FROM s))", "not-exists", ""),
        ("t.a IN (SELECT b FROM s)", "in", "t.a"),
        ("t.a NOT IN (SELECT b FROM s)", "not-in", "t.a"),
        ("NOT (t.a IN (SELECT b FROM s))", "not-in", "t.a"),
        ("t.a = (SELECT b FROM s)", "scalar", "= t.a"),
        ("(SELECT b FROM s) > 0", "scalar", "> 0"),
        ("0 < (SELECT b FROM s)", "scalar", "> 0"),
        ("((SELECT b FROM s)) <= t.a", "scalar", "<= t.a"),
        ("coalesce((SELECT b FROM s), 0) > 0", "scalar", ""),
        ("(SELECT b FROM s) IN (1, 2)", "scalar", ""),
        ("t.a NOT LIKE (SELECT b FROM s)", "scalar", ""),
        ("t.a = ANY (SELECT b FROM s)", "any", "= t.a"),
        ("t.a > ALL (SELECT b FROM s)", "all", "< t.a"),
        ("t.a = ARRAY(SELECT b FROM s)", "array", ""),
        ("CASE WHEN EXISTS (SELECT b FROM s) THEN true END", "exists", ""),
    ],
)
def test_kinds_in_a_condition(condition: str, kind: str, compared: str) -> None:
    assert read(f"SELECT 1 FROM t WHERE {condition}").subqueries == (
        SubqueryFacts(kind, 1, 0, "where", "SELECT b FROM s", output=(ColumnRef(S, "b"),), compared=compared),
    )


@pytest.mark.parametrize(
    ("sql", "kind", "clause"),
    [
        ("SELECT (SELECT 2) FROM t", "scalar", "select"),
        ("SELECT DISTINCT ON ((SELECT 2)) a FROM t", "scalar", "select"),
        ("SELECT 1 FROM (SELECT 2) d", "derived", "from"),
        ("SELECT 1 FROM t JOIN (SELECT 2) d ON true", "derived", "from"),
        ("SELECT 1 FROM t, LATERAL (SELECT 2) d", "lateral", "from"),
        ("SELECT 1 FROM t JOIN s ON t.a = (SELECT 2)", "scalar", "from"),
        ("SELECT a FROM t GROUP BY a HAVING count(*) > (SELECT 2)", "scalar", "having"),
        ("SELECT a FROM t GROUP BY (SELECT 2)", "scalar", "group"),
        ("SELECT a FROM t ORDER BY (SELECT 2)", "scalar", "order"),
        ("UPDATE t SET a = (SELECT 2)", "scalar", "set"),
        ("UPDATE t SET a = 1 WHERE b IN (SELECT 2)", "in", "where"),
        ("DELETE FROM t WHERE EXISTS (SELECT 2)", "exists", "where"),
        ("INSERT INTO t (a) VALUES ((SELECT 2))", "scalar", "values"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = (SELECT 2)", "scalar", "set"),
        ("INSERT INTO t (a) VALUES (1) RETURNING (SELECT 2)", "scalar", "returning"),
        ("MERGE INTO t USING (SELECT 2) s ON true WHEN MATCHED THEN DELETE", "derived", "from"),
        ("WITH c AS (SELECT 2) SELECT 1 FROM c", "cte", "with"),
        ("WITH c AS (SELECT 2) DELETE FROM t", "cte", "with"),
    ],
)  # fmt: skip
def test_clauses(sql: str, kind: str, clause: str) -> None:
    (found,) = read(sql).subqueries
    assert (found.kind, found.clause, found.sql, found.within) == (kind, clause, "SELECT 2", 0)


def test_what_an_insert_selects_is_no_subquery() -> None:
    assert read("INSERT INTO t (a) SELECT b FROM s").subqueries == ()


def outer(sql: str) -> list[tuple[int, list[str]]]:
    return [
        (each.scope, [f"{ref.table.name if ref.table else ''}.{ref.name}" for ref in each.outer])
        for each in read(sql).subqueries
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.a = t.a AND s.b > t.a)", [(1, ["t.a"])]),
        ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM t AS t2 WHERE t2.a = t.a)", [(1, ["t.a"])]),
        ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM t WHERE t.a = 1)", [(1, [])]),
        ("SELECT (SELECT count(*) FROM s WHERE s.a = t.a) FROM t", [(1, ["t.a"])]),
        ("SELECT (SELECT t.a || s.b FROM s) FROM t", [(1, ["t.a"])]),
        ("SELECT (SELECT max(b) FROM s GROUP BY s.c ORDER BY t.d) FROM t", [(1, ["t.d"])]),
        ("SELECT 1 FROM t, LATERAL (SELECT 1 FROM s WHERE s.a = t.a) l", [(1, ["t.a"])]),
        ("SELECT 1 FROM t, (SELECT a FROM s) d WHERE d.a = t.a", [(1, [])]),
        ("UPDATE t SET a = (SELECT b FROM s WHERE s.c = t.c)", [(1, ["t.c"])]),
        ("DELETE FROM t USING s WHERE NOT EXISTS (SELECT 1 FROM x WHERE x.a = s.a)", [(1, ["s.a"])]),
        (
            "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.x IN (SELECT b FROM x WHERE x.a = t.a))",
            [(1, ["t.a"]), (2, ["t.a"])],
        ),
        (
            "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.x IN (SELECT b FROM x WHERE x.a = s.a))",
            [(1, []), (2, ["s.a"])],
        ),
        (
            "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM (SELECT a FROM s WHERE s.a = t.a) d)",
            [(1, ["t.a"]), (2, ["t.a"])],
        ),
        (
            "SELECT 1 FROM t WHERE t.b IN (SELECT 1 FROM s UNION SELECT 2 FROM x WHERE x.a = t.a)",
            [(1, ["t.a"])],
        ),
        (
            "SELECT 1 FROM (SELECT a FROM t) d WHERE EXISTS (SELECT 1 FROM s WHERE s.b = d.a)",
            [(1, []), (2, ["t.a"])],
        ),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b", []),
        (
            "WITH c AS (INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b) "
            "SELECT 1",
            [(1, [])],
        ),
    ],
)  # fmt: skip
def test_columns_of_the_queries_around(sql: str, expected: list[tuple[int, list[str]]]) -> None:
    assert outer(sql) == expected
    assert [each.correlated for each in read(sql).subqueries] == [bool(refs) for _, refs in expected]


def test_the_output_of_a_union_is_that_of_all_its_parts() -> None:
    (found,) = read("SELECT 1 FROM t WHERE a NOT IN (SELECT b FROM s UNION ALL SELECT c FROM t)").subqueries
    assert found.output == (ColumnRef(S, "b"), ColumnRef(T, "c"))
    assert found.sql == "SELECT b FROM s UNION ALL SELECT c FROM t"


def test_a_subquery_that_order_by_means_is_one_all_the_same() -> None:
    facts = read("SELECT t.a, (SELECT count(*) FROM s WHERE s.b = t.a) AS n FROM t ORDER BY n DESC, 1")
    assert len(facts.subqueries) == 1
    assert [each.roles for each in facts.columns if each.name == "b"] == [(Role.JOIN,)]


def test_ctes_in_the_order_of_the_text() -> None:
    facts = read("WITH a AS (WITH b AS (SELECT 1) SELECT 2 FROM b), RECURSIVE_ AS (SELECT 3) SELECT 4 FROM a")
    assert facts.ctes == ("a", "b", "recursive_")
    assert [(each.scope, each.within) for each in facts.subqueries] == [(1, 0), (2, 1), (3, 0)]
    assert facts.tables == ()
