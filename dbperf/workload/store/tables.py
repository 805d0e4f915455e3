"""The tables of a store, the same on SQLite and on PostgreSQL; `migrations/` has their history.

Latencies, call sites and all else that is counted by keys is text, `key:calls key:calls …`: such texts are
merged by joining them, in SQL, and added up where they are read, and a day of a statement is one small row.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

from dbperf.model.workload import NUMBERS, Unseen

SCHEMA = "dbperf"
"""Where the tables are in a PostgreSQL database."""
HEAD = "0003"
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

figure = Table(
    "figure",
    metadata,
    _key("id"),
    _column("kind", Text),
    _column("name", Text),
    _column("database", Text),
    _column("first_seen"),
)
"""What has run-time figures: a pool, the transactions of a database, an operation."""

site = Table("site", metadata, _key("id"), _column("file", Text), _column("line"), _column("function", Text))

label = Table("label", metadata, _key("id"), _column("kind", Text), _column("body", Text))
"""Names that are counted by: `kind` is failure, operation, or access, whose `body` is JSON."""

writer = Table(
    "writer",
    metadata,
    _key("id"),
    _column("host", Text),
    _column("pid"),
    _column("started"),
    _column("seen"),
    _column("flushes"),
    *(_column(each.name) for each in fields(Unseen)),
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


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """What is counted of `thing`, in windows of a minute, an hour and a day, whose rows begin with its `key`.

    `numbers` and `texts` are the columns that hold counts. `named` texts count by name, the others by number.
    """

    thing: Table
    key: str
    windows: tuple[Table, Table, Table]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    named: bool = False


def _window(name: str, key: str, *columns: Column[Any]) -> Table:
    return Table(
        name,
        metadata,
        _key(key),
        _key("starts"),
        _key("writer_id"),
        *columns,
        _column("counted"),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (starts)",
    )


def _of_statements(name: str) -> Table:
    texts = [_column(each, Text) for each in _STATEMENT_TEXTS]
    return _window(name, "statement_id", *map(_column, NUMBERS), *texts)


def _of_figures(name: str) -> Table:
    return _window(name, "figure_id", _column("counts", Text))


_STATEMENT_TEXTS = ("latency", "sites", "failures", "operations", "accesses")
minute, hour, day = (_of_statements(name) for name in ("minute", "hour", "day"))
figure_minute, figure_hour, figure_day = (_of_figures(f"figure_{name}") for name in ("minute", "hour", "day"))
"""`counted`, the sum of all counts of a row, tells the later of two states of it."""
STATEMENTS = Family(statement, "statement_id", (minute, hour, day), NUMBERS, _STATEMENT_TEXTS)
FIGURES = Family(figure, "figure_id", (figure_minute, figure_hour, figure_day), (), ("counts",), named=True)
FAMILIES = (STATEMENTS, FIGURES)
NAMED_BY = {"sites": site, "failures": label, "operations": label, "accesses": label}
"""The tables that say what the numbers are which some texts count by."""
SECONDS = {
    window: seconds
    for each in FAMILIES
    for window, seconds in zip(each.windows, (60, 3600, 86400), strict=True)
}
"""All windows and how long they are."""


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
