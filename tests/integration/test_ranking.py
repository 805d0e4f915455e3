"""Which finding is told first."""

from __future__ import annotations

import psycopg
import pytest

import dbperf
from dbperf.embedded import Server
from dbperf.model.workload import Statement, Workload


def captured(table: str, seconds: float) -> Statement:
    return Statement(
        sql=f"SELECT * FROM {table} WHERE owner = $1",
        fingerprint=table,
        dialect="postgresql",
        database="localhost/5432/app",
        calls=10,
        execute_seconds=seconds,
    )


@pytest.mark.parametrize("environment", ["production", "disposable"])
def test_the_statement_that_took_longest_is_told_first(
    server: Server, database: str, environment: str
) -> None:
    with psycopg.connect(server.dsn(database)) as connection:
        for table, rows in (("short", 20_000), ("long", 40_000)):
            connection.execute(f"CREATE TABLE {table} (id int, owner int)".encode())
            connection.execute(
                f"INSERT INTO {table} SELECT i, i % 997 FROM generate_series(1, {rows}) i".encode()
            )
            connection.execute(f"ANALYZE {table}".encode())
    # The planner thinks that the other one costs more.
    workload = Workload((captured("long", 1.0), captured("short", 9.0)))
    report = dbperf.analyze(workload, server.dsn(database), environment=environment)
    assert [each.tables for each in report.recommendations] == [("public.short",), ("public.long",)]
