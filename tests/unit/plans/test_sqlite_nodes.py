"""EXPLAIN QUERY PLAN in the words of SQLite's releases, 3.31 to 3.50."""

from __future__ import annotations

import pytest

from dbperf.model.plan import PlanNode, describe
from dbperf.plans.sqlite.nodes import plan_nodes


def node(detail: str | bytes, names: dict[str, str] | None = None) -> PlanNode:
    (found,) = plan_nodes([(2, 0, 0, detail)], names or {})
    return found


@pytest.mark.parametrize(
    ("detail", "kind", "relation", "index", "condition"),
    [
        ("SCAN TABLE orders", "Scan", "orders", "", ""),
        ("SCAN orders", "Scan", "orders", "", ""),
        ("SCAN main.orders", "Scan", "orders", "", ""),
        ("SCAN order lines", "Scan", "order lines", "", ""),
        ("SCAN orders USING COVERING INDEX ix_a", "Covering Scan", "orders", "ix_a", ""),
        ("SEARCH TABLE orders USING INDEX ix_a (a=?)", "Search", "orders", "ix_a", "a=?"),
        (
            "SEARCH orders USING INDEX ix (a=? AND (b,c)>(?,?))",
            "Search",
            "orders",
            "ix",
            "a=? AND (b,c)>(?,?)",
        ),
        ("SEARCH orders USING COVERING INDEX ix (a=?)", "Covering Search", "orders", "ix", "a=?"),
        (
            "SEARCH orders USING INTEGER PRIMARY KEY (rowid=?)",
            "Search",
            "orders",
            "INTEGER PRIMARY KEY",
            "rowid=?",
        ),
        ("SEARCH facts USING PRIMARY KEY (a=?)", "Search", "facts", "PRIMARY KEY", "a=?"),
        (
            "SEARCH b USING AUTOMATIC COVERING INDEX (a=?) LEFT-JOIN",
            "Search",
            "b",
            "AUTOMATIC COVERING INDEX",
            "a=?",
        ),
        ("SEARCH b USING INDEX ix (a=?) EXISTS", "Search", "b", "ix", "a=?"),
        ("SCAN s LEFT-JOIN", "Scan", "s", "", ""),
        ("SEARCH orders", "Search", "orders", "", ""),
        ("SCAN SUBQUERY 1", "Scan", "1", "", ""),
        ("SCAN notes VIRTUAL TABLE INDEX 0:M1", "Scan", "notes", "", ""),
    ],
)
def test_a_line(detail: str, kind: str, relation: str, index: str, condition: str) -> None:
    found = node(detail)
    assert (found.kind, found.relation, found.index, found.condition) == (kind, relation, index, condition)


@pytest.mark.parametrize(
    "detail",
    [
        "SCAN CONSTANT ROW",
        "SCAN 3 CONSTANT ROWS",
        "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
        "MULTI-INDEX OR",
        "CORRELATED SCALAR SUBQUERY 1",
        "MERGE (UNION)",
        "WORDS OF A RELEASE TO COME",
    ],
)
def test_a_line_that_reads_no_table(detail: str) -> None:
    assert node(detail) == PlanNode(kind=detail)


def test_an_alias_is_resolved_where_it_is_known() -> None:
    for detail in ("SEARCH o USING INDEX ix (a=?)", "SEARCH TABLE orders AS o USING INDEX ix (a=?)"):
        found = node(detail, {"o": "Orders", "orders": "Orders"})
        assert (found.relation, found.alias) == ("Orders", "o")
        assert describe(found) == "Search on Orders using ix"


def test_lines_become_a_tree() -> None:
    rows = [
        (3, 0, 0, b"CO-ROUTINE recent"),
        (7, 3, 0, b"SCAN orders"),
        (19, 3, 0, b"USE TEMP B-TREE FOR ORDER BY"),
        (30, 0, 0, b"SCAN recent"),
    ]
    first, second = plan_nodes(rows, {})
    assert [each.kind for each in first.walk()] == [
        "CO-ROUTINE recent",
        "Scan",
        "USE TEMP B-TREE FOR ORDER BY",
    ]
    assert second.relation == "recent"
