"""A condition that is rewritten finds the rows that it found before; else it is not rewritten."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest

from dbperf.advice.bare_conditions import bare_condition
from dbperf.embedded import Server
from dbperf.model.catalog import Column

_SCHEMA = """
CREATE TABLE t (id int, at timestamp, seen timestamptz, day date, score int, state text);
INSERT INTO t
SELECT n, timestamp '2023-12-30' + n * interval '7 hours',
       timestamptz '2023-12-30 UTC' + n * interval '7 hours',
       date '2023-12-30' + n, nullif(n % 7, 3), nullif('s' || n % 4, 's2')
FROM generate_series(0, 400) n;
INSERT INTO t SELECT 500 + id, at::date, seen, day, NULL, NULL FROM t WHERE id < 9;
"""
_COLUMNS = {
    "id": "integer",
    "at": "timestamp without time zone",
    "seen": "timestamp with time zone",
    "day": "date",
    "score": "integer",
    "state": "text",
}
_DAYS = [
    f"{side} {operator} '2024-01-05'"
    for side in ("at::date", "date(seen)")
    for operator in ["=", "<", ">", "<=", ">="]
]


@pytest.mark.parametrize(
    "condition",
    [
        *_DAYS,
        "at::date BETWEEN '2024-01-05' AND '2024-01-07'",
        "'2024-01-05' < at::date",
        "at::date = CAST('2024-01-05' AS date)",
        "at::date <= current_date",
        "day::date > '2024-01-05'",
        "at::date > current_date - 3000",
        "at::date = date(timestamp '2024-01-05 10:00')",
        "date_trunc('month', at) = date_trunc('month', timestamp '2024-02-05 10:00')",
        "date_trunc('month', seen) >= date_trunc('month', timestamptz '2024-02-05 10:00')",
        "date_trunc('quarter', at) = date_trunc('quarter', timestamp '2024-02-05')",
        "date_trunc('month', day) = date_trunc('month', timestamp '2024-02-05')",
        "extract(year FROM at) = CAST('2024' AS integer)",
        "extract(year FROM at) = 2024",
        "date_part('year', seen) < 2024",
        "extract(year FROM day) BETWEEN 2023 AND 2024",
        "coalesce(score, 0) = 5",
        "coalesce(score, 5) = 5",
        "coalesce(state, 'none') = 's1'",
        "score + 2 > 5",
        "score - 2 <= 3",
        "5 - score > 2",
        "seen + interval '3 days' > timestamptz '2024-01-20 UTC'",
        "now() - seen > interval '36 hours'",
        "seen + interval '3 days' > '2024-01-20'",
        "day + interval '12 hours' > '2024-01-20'",
        "coalesce(score, 5) = 5.0",
        "coalesce(score, 0) = 5.0",
        "id::text = '7'",
    ],
)
def test_the_same_rows(condition: str, server: Server, database: str) -> None:
    name = next(each for each in ("at", "seen", "day", "score", "state", "id") if each in _words(condition))

    rewritten = bare_condition(condition, "postgresql", Column(name, _COLUMNS[name]))

    assert rewritten
    with psycopg.connect(server.dsn(database)) as connection:
        connection.execute(_SCHEMA.encode())
        query = "SELECT id FROM t WHERE {} ORDER BY id"
        before = connection.execute(query.format(condition).encode()).fetchall()
        after = connection.execute(query.format(rewritten).encode()).fetchall()
    assert after == before
    assert before


def _words(text: str) -> set[str]:
    return set("".join(each if each.isalnum() else " " for each in text).split())


@pytest.mark.parametrize(
    "condition",
    [
        "lower(state) = 's1'",
        "extract(month FROM at) = 2",
        "coalesce(score, 0) > 5",
        "coalesce(score, $1) = 5",
        "at + interval '1 month' > now()",
        "score * 2 = 10",
        "score / 2 = 1",
        "at::date IN ('2024-01-05')",
        "at::date <> '2024-01-05'",
        "state::date = '2024-01-05'",
        "upper(lower(state)) = 'X'",
        "at::date >= now() - interval '7 days'",
        "at::date = now()",
        "at::date = now()::timestamp",
        "at::date >= $1",
        "at::date >= $1::timestamp",
        "at::date = '2024-01-05 10:00'",
        "date_trunc('month', at) > now() - interval '6 months'",
        "date_trunc('month', at) = '2024-05-10'",
        "date_trunc('month', at) = $1::date",
        "date_trunc('month', at) = date_trunc('day', now())",
        "date_trunc('month', at, 'UTC') = date_trunc('month', now())",
        "date_trunc('day', at) = (SELECT max(at) FROM t)",
        "extract(year FROM at) > 2025.5",
        "extract(year FROM at) = $1",
        "day + 7 > now()",
        "day + 7 > $1",
        "coalesce(score, 0) = '0.0'",
        "coalesce(score, '0') = '00'",
        "id::text = '007'",
        "id::text = 'x'",
        "id::text = '99999999999'",
        "id::text = lower('7')",
    ],
)
def test_what_is_not_the_same_is_left(condition: str) -> None:
    name = next(each for each in ("at", "day", "score", "state", "id") if each in _words(condition))
    assert bare_condition(condition, "postgresql", Column(name, _COLUMNS[name])) == ""


def test_a_parameter_keeps_its_place() -> None:
    at = Column("at", "timestamp without time zone")
    rewritten = bare_condition("date(t.at) = $1::DATE", "postgresql", at)
    assert rewritten == "t.at >= CAST($1 AS DATE) AND t.at < CAST($1 AS DATE) + INTERVAL '1 day'"


@pytest.mark.parametrize(
    "value", ["datetime('now')", "?", "'2024-01-05 10:00'", "CAST('2024-01-05' AS date)"]
)
def test_what_may_be_no_day_of_sqlite(value: str) -> None:
    assert bare_condition(f"date(at) >= {value}", "sqlite", None) == ""


def test_days_of_sqlite() -> None:
    rewritten = bare_condition("date(at) = '2024-01-05'", "sqlite", None)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (at text)")
        times = [
            ("2024-01-04 23:59:59",),
            ("2024-01-05 00:00:00",),
            ("2024-01-05 23:59:59",),
            ("2024-01-06",),
        ]
        connection.executemany("INSERT INTO t VALUES (?)", times)
        found = connection.execute(f"SELECT at FROM t WHERE {rewritten}").fetchall()
    assert found == times[1:3]
