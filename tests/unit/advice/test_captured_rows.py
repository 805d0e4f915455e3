"""What rules on statements make of how many rows a call brought or wrote."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from dbperf.advice.reading import Reading
from dbperf.advice.rules import (
    correlated_subquery,
    huge_in_list,
    limit_without_order,
    unbounded_result,
    write_without_where,
)
from dbperf.statements import analyze_statement
from dbperf.workload.sources.sql_files import given

ALL = "SELECT id, name FROM users"
PAGE = "SELECT id FROM users WHERE city = $1 LIMIT $2"
COUNTED = "SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.city = $1"


@pytest.mark.parametrize(
    ("rule", "sql", "calls", "rows", "found"),
    [
        (unbounded_result, ALL, 10, 200_000, True),
        (unbounded_result, ALL + " WHERE city = $1", 1, 10_000, True),
        (unbounded_result, ALL + " UNION ALL SELECT id, name FROM shops", 1, 10_000, True),
        (unbounded_result, ALL, 10, 20_000, False),
        (unbounded_result, ALL, 0, 0, False),
        (unbounded_result, ALL + " ORDER BY id LIMIT $1", 10, 200_000, False),
        (unbounded_result, ALL + " UNION ALL SELECT id, name FROM shops LIMIT $1", 1, 10_000, False),
        (unbounded_result, "INSERT INTO users SELECT id FROM shops", 1, 200_000, False),
        (limit_without_order, PAGE, 10, 90, True),
        (limit_without_order, PAGE, 10, 10, False),
        (limit_without_order, PAGE, 0, 0, False),
        (write_without_where, "DELETE FROM orders", 2, 9_000, True),
        (write_without_where, "DELETE FROM orders", 100, 900, False),
        (write_without_where, "DELETE FROM tmp_orders", 0, 0, False),
        (correlated_subquery, COUNTED.partition(" WHERE u.")[0], 10, 9_000, True),
        (correlated_subquery, COUNTED.partition(" WHERE u.")[0], 10, 200, False),
        (correlated_subquery, COUNTED, 0, 0, False),
    ],
)
def test_rows_a_call(rule: ModuleType, sql: str, calls: int, rows: int, found: bool) -> None:
    statement = replace(given(sql, "postgresql"), calls=calls, rows=rows)
    assert bool(list(rule.read(Reading(statement, analyze_statement(sql))))) is found


@pytest.mark.parametrize(("rows", "found"), [(3, False), (30, True)])
def test_the_offset_that_sqlalchemy_sends_sqlite_makes_no_page(rows: int, found: bool) -> None:
    sql = "SELECT name FROM users WHERE city = ? LIMIT ? OFFSET ?"
    statement = replace(given(sql, "sqlite"), calls=3, rows=rows)
    facts = analyze_statement(statement.sql, "sqlite")
    assert bool(list(limit_without_order.read(Reading(statement, facts)))) is found


@pytest.mark.parametrize(("items", "found"), [(99, False), (100, True), (500, False), (501, True)])
def test_a_list_of_500_is_of_a_loader(items: int, found: bool) -> None:
    sql = f"SELECT id FROM posts WHERE user_id IN ({', '.join(f'${n}' for n in range(1, items + 1))})"
    assert bool(list(huge_in_list.read(Reading(given(sql, "postgresql"), analyze_statement(sql))))) is found


def test_rows_that_nobody_reads_are_told_elsewhere() -> None:
    statement = replace(given(ALL, "postgresql"), calls=1, rows=50_000, unread_rows=49_999)
    assert not list(unbounded_result.read(Reading(statement, analyze_statement(ALL))))
