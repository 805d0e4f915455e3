"""What each SELECT of a statement is found to do, by its scope."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dbperf.model.facts import Bound, ColumnRef, SelectFacts, SetOperation, StatementFacts, TableRef
from dbperf.statements import analyze_statement

T, U = TableRef("", "t"), TableRef("", "users", "u")


def read(sql: str) -> StatementFacts:
    facts = analyze_statement(sql)
    assert facts.parsed, facts.reason
    assert [each.scope for each in facts.selects] == list(range(len(facts.selects)))
    return facts


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a, (a) AS b, a + 1 FROM t", {"output": (ColumnRef(T, "a"), ColumnRef(T, "a"), None)}),
        ("SELECT * FROM t", {"stars": ("*",), "output": (None,)}),
        ("SELECT u.*, t.a FROM users u, t", {"stars": ("u",), "output": (None, ColumnRef(T, "a"))}),
        ("SELECT count(*) FROM t", {"stars": (), "aggregates": ("count",), "output": (None,)}),
        ("SELECT a FROM t, users u", {"output": (ColumnRef(None, "a"),)}),
        ("TABLE t", {"stars": ("*",), "tables": (T,)}),
        ("SELECT 1", {"tables": (), "constants": ((0, "1"),)}),
        ("SELECT a, 'x', -1, NULL, $1", {"constants": ((1, "'x'"), (2, "-1"), (3, "NULL"))}),
        ("SELECT DISTINCT a FROM t", {"distinct": True}),
        ("SELECT DISTINCT ON (a) a, b FROM t", {"distinct": True}),
        ("SELECT a FROM t ORDER BY random(), t.a DESC, 2", {"ordered": ("random()", "t.a", "2")}),
        ("SELECT a FROM t GROUP BY a, lower(b)", {"grouped": ("a", "lower(b)"), "aggregates": ()}),
        ("SELECT sum(a) FILTER (WHERE b) FROM t HAVING MAX(c) > 1", {"aggregates": ("sum", "max")}),
        ("SELECT string_agg(a, ','), jsonb_agg(a) FROM t", {"aggregates": ("string_agg", "jsonb_agg")}),
        ("SELECT bool_or(a) FROM t ORDER BY every(b)", {"aggregates": ("bool_or", "every")}),
        ("SELECT mode() WITHIN GROUP (ORDER BY a) FROM t", {"aggregates": ("mode",)}),
        ("SELECT a, (SELECT max(b) FROM s) FROM t", {"aggregates": ()}),
        ("SELECT sum(a) OVER (), lag(a) OVER w FROM t WINDOW w AS (ORDER BY b)", {"windows": 2}),
        ("SELECT sum(a) FILTER (WHERE b) OVER () FROM t", {"windows": 1, "aggregates": ()}),
        ("SELECT a FROM t LIMIT 10 OFFSET $1", {"limit": Bound(number=10), "offset": Bound(parameter=1)}),
        ("SELECT a FROM t LIMIT $1::int", {"limit": Bound(parameter=1)}),
        ("SELECT a FROM t LIMIT $1 + 1", {"limit": Bound()}),
        ("SELECT a FROM t LIMIT ALL", {"limit": None}),
        ("SELECT a FROM t FETCH FIRST 3 ROWS ONLY", {"limit": Bound(number=3)}),
        ("SELECT a FROM t FETCH FIRST ROW ONLY", {"limit": Bound(number=1)}),
        ("SELECT a FROM t FOR UPDATE SKIP LOCKED", {"locks": True}),
        ("SELECT 1 FROM users AS u JOIN t ON t.a = u.a", {"tables": (U, T)}),
        ("SELECT 1 FROM t, LATERAL (SELECT 2 FROM s) x, unnest(t.b) y", {"tables": (T,)}),
        ("WITH c AS (SELECT a FROM t) SELECT a FROM c", {"tables": (), "output": (ColumnRef(T, "a"),)}),
        ("SELECT d.x FROM (SELECT a AS x FROM t) d", {"tables": (), "output": (ColumnRef(T, "a"),)}),
        ("UPDATE t SET b = 1 FROM users u WHERE u.a = t.a", {"tables": (T, U)}),
        ("UPDATE t SET b = 1 RETURNING t.id", {"tables": (T,), "output": (ColumnRef(T, "id"),)}),
        ("DELETE FROM t USING users u WHERE u.a = t.a", {"tables": (T, U), "output": ()}),
        ("INSERT INTO t (a) VALUES (1) RETURNING *", {"tables": (), "stars": ("*",)}),
        ("MERGE INTO t USING users u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", {"tables": (T, U)}),
    ],
)  # fmt: skip
def test_the_outermost_select(sql: str, expected: dict[str, object]) -> None:
    (select, *_) = read(sql).selects
    assert {name: getattr(select, name) for name in expected} == expected


def test_a_plain_select_says_no_more() -> None:
    (select,) = read("SELECT a FROM t WHERE b = 1").selects
    assert select == SelectFacts(0, (T,), output=(ColumnRef(T, "a"),))
    assert len(fields(select)) == 13


def test_each_select_has_its_scope() -> None:
    facts = read("INSERT INTO t (a) WITH c AS (SELECT b FROM s ORDER BY b LIMIT 1) SELECT DISTINCT b FROM c")
    assert [(each.distinct, each.limit, each.ordered) for each in facts.selects] == [
        (False, None, ()),
        (True, None, ()),
        (False, Bound(number=1), ("b",)),
    ]


def test_a_union_has_a_scope_of_its_own() -> None:
    facts = read(
        "SELECT a FROM t UNION ALL SELECT b FROM s UNION (SELECT c FROM x EXCEPT ALL TABLE y) LIMIT 3"
    )
    assert [[table.name for table in each.tables] for each in facts.selects] == [
        [], ["t"], ["s"], [], ["x"], ["y"],
    ]  # fmt: skip
    assert facts.selects[0] == SelectFacts(0, output=(ColumnRef(T, "a"),), limit=Bound(number=3))
    assert set(facts.set_operations) == {
        SetOperation("union all", 1, 2),
        SetOperation("union", 2, 3),
        SetOperation("except all", 4, 5),
    }
