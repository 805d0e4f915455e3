"""The index that function-on-column advises can be created, and with it the rule has nothing to say."""

from __future__ import annotations

import psycopg
import pytest

from dbperf.advice.expressions import immutable
from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rules import function_on_column
from dbperf.embedded import Server
from dbperf.plans.catalog import read_catalog
from dbperf.statements import analyze_statement
from dbperf.workload.sources.sql_files import given

_SCHEMA = """
CREATE TABLE t (id int, name varchar(80), note text, data jsonb, at timestamp,
    seen timestamptz, score numeric);
CREATE INDEX ON t (seen);
INSERT INTO t SELECT n, 'name' || n, repeat('x', 60), '{}', now(), now(), n FROM generate_series(1, 20000) n;
ANALYZE t;
"""


@pytest.mark.parametrize(
    "condition",
    [
        "lower(name) = $1",
        "upper(trim(note)) = 'X'",
        "lower(note) LIKE 'x%'",
        "substring(name FROM 2 FOR 3) = 'abc'",
        "left(name, 3) IN ('abc', 'def')",
        "data ->> 'kind' = 'x'",
        "(data ->> 'n')::int > 5",
        "data #>> '{a,b}' = 'x'",
        "extract(month FROM at) = 5",
        "abs(score) < 5",
        "md5(note) = 'x'",
    ],
)
def test_the_advised_index(condition: str, server: Server, database: str) -> None:
    sql = f"SELECT id FROM t AS a WHERE {condition}"
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(_SCHEMA.encode())
        (found,) = _found(sql, connection)
        for ddl in found.ddl:
            connection.execute(ddl.encode())
        assert found.ddl
        assert not _found(sql, connection)


@pytest.mark.parametrize("condition", ["to_char(seen, 'YYYY') = '2024'", "extract(month FROM seen) = 5"])
def test_no_index_on_what_depends_on_the_time_zone(condition: str, server: Server, database: str) -> None:
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(_SCHEMA.encode())
        (found,) = _found(f"SELECT id FROM t WHERE {condition}", connection)
    assert not found.ddl


_TYPES = [
    "smallint", "integer", "bigint", "numeric(9, 2)", "real", "double precision", "text", "varchar(9)",
    "char(9)", "uuid", "boolean", "jsonb", "date", "money", "text[]", "bytea", "timestamptz", "interval",
    "state",
]  # fmt: skip


@pytest.mark.parametrize("type_", _TYPES)
@pytest.mark.parametrize("key", ["CAST(x AS TEXT)", "date_trunc('month', x)", "extract(year FROM x)"])
def test_what_is_taken_for_immutable_can_be_indexed(
    type_: str, key: str, server: Server, database: str
) -> None:
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(b"CREATE TYPE state AS ENUM ('new', 'old')")
        connection.execute(f"CREATE TABLE u (x {type_})".encode())
        stored = read_catalog(connection).tables["public.u"].columns["x"].type
        if immutable(key, "postgresql", stored):
            connection.execute(f"CREATE INDEX ON u (({key}))".encode())


def test_the_types_whose_text_is_indexed() -> None:
    assert [type_ for type_ in _TYPES if immutable("CAST(x AS TEXT)", "postgresql", type_)] == [
        each for each in _TYPES[:12] if each not in {"varchar(9)", "char(9)"}
    ]
    assert immutable("CAST(x AS TEXT)", "postgresql", "character varying(9)")


def _found(sql: str, connection: psycopg.Connection) -> list[Finding]:
    catalog = read_catalog(connection)
    columns = {table.name: list(table.columns) for table in catalog.tables.values()}
    reading = Reading(given(sql, "postgresql"), analyze_statement(sql, "postgresql", columns), catalog)
    return list(function_on_column.read(reading))
