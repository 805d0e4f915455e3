"""The tables of a store, the same on SQLite and on PostgreSQL; `migrations/` has their history.

Latencies and call sites are text, `key*calls key*calls …`: such texts are merged by joining them, in SQL, and
added up where they are read, and a day of a statement is one small row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

SCHEMA = "dbperf"
"""Where the tables are in a PostgreSQL database."""
HEAD = "0002"
"""The revision these tables are of; revisions sort by age."""
APPLICATION_ID = 0x64627066
""" "dbpf", at byte 68 of the file: https://www.sqlite.org/fileformat2.html"""

RECORDING, HISTORY = 1, 0
"""`user_version` of a file: the next recording replaces a recording, and never a history."""

metadata = MetaData()

_LONG = BigInteger().with_variant(Integer, "sqlite")


def _column(name: str, kind: Any = _LONG, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **options)


def _key(name: str, kind: Any = _LONG) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), primary_key=True, nullable=False),
)
version.primary_key.name = "alembic_version_pkc"  # as Alembic makes it

meta = Table("meta", metadata, _key("key", Text), _column("value", Text))
"""`id`, random, of the store; `pruned_at`, in microseconds since 1970; `notes` of a saved workload."""

merged = Table("merged", metadata, _key("source_id"), _column("at"))
"""The stores and processes that were merged in, and when, in microseconds since 1970."""

statement = Table(
    "statement",
    metadata,
    _key("id"),
    _column("sql", Text),
    _column("fingerprint", Text),
    _column("dialect", Text),
    _column("database", Text),
    _column("first_seen"),
)

site = Table("site", metadata, _key("id"), _column("file", Text), _column("line"), _column("function", Text))

writer = Table(
    "writer",
    metadata,
    _key("id"),
    _column("host", Text),
    _column("pid"),
    _column("started"),
    _column("seen"),
    _column("flushes"),
    _column("folded_calls"),
    _column("observer_failures"),
    _column("flush_failures"),
)
"""One row a process, and the store's own, which has the counts of those long gone."""

sample = Table(
    "sample",
    metadata,
    _key("statement_id"),
    _key("digest"),
    _column("sql", Text),
    _column("parameters", Text),
    _column("seen"),
)
"""Where parameters may be kept. `seen` is microseconds since 1970."""


def _window(name: str) -> Table:
    return Table(
        name,
        metadata,
        _key("statement_id"),
        _key("starts"),
        _key("writer_id"),
        _column("calls"),
        _column("parameter_sets"),
        _column("rows"),
        _column("errors"),
        _column("cancellations"),
        _column("execute_ns"),
        _column("latency", Text),
        _column("sites", Text),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (starts)",
    )


minute, hour, day = _window("minute"), _window("hour"), _window("day")
SECONDS = {minute: 60, hour: 3600, day: 86400}
"""The windows and how long they are, the shortest first."""


def minute_of(at: float) -> int:
    """When the minute of a time starts, both seconds since 1970."""
    return int(at) // 60 * 60


run = Table(
    "run",
    metadata,
    _key("id"),
    _column("at"),
    _column("target", Text),
    _column("environment", Text),
    _column("server_version", Text),
    _column("report", Text),
)
"""A run of an analysis; `at` is microseconds since 1970."""

recommendation = Table(
    "recommendation",
    metadata,
    _key("target", Text),
    _key("id", Text),
    _column("code", Text),
    _column("title", Text),
    _column("ddl", Text),
    _column("state", Text),
    _column("since"),
    _column("reason", Text),
)

finding = Table(
    "finding", metadata, _key("run_id"), _key("recommendation_id", Text), _column("evidence", Text)
)

facts = Table(
    "facts",
    metadata,
    _key("fingerprint", Text),
    _key("dialect", Text),
    _key("version", Text),
    _column("body", Text),
)

plan = Table(
    "plan",
    metadata,
    _key("statement_id"),
    _key("target", Text),
    _key("key", Text),
    _column("valid_for", Text),
    _column("at"),
    _column("body", Text),
)
"""`key` tells apart the plans of a statement, `valid_for` the state of the database that a plan holds for."""
