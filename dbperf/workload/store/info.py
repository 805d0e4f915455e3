"""What is in a store, in numbers: `dbperf store info`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, Table, func, select, text

from dbperf.model.runtime import Operation
from dbperf.workload.store import tables
from dbperf.workload.store.connect import place_of
from dbperf.workload.store.history import Advice, advice
from dbperf.workload.store.prune import Retention, limits
from dbperf.workload.store.read import opened
from dbperf.workload.store.schema import check
from dbperf.workload.store.tables import STATEMENTS


@dataclass(frozen=True, slots=True)
class Windows:
    """The rows of windows of one size and the time they span, seconds since 1970; None where there are none.

    `due` rows are old enough to be rolled up, or to expire.
    """

    name: str
    rows: int
    since: int | None
    until: int | None
    due: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process that wrote; `seen` is when it wrote last, seconds since 1970."""

    host: str
    pid: int
    seen: int


@dataclass(frozen=True, slots=True)
class Info:
    """A store. `writers` are those of the last hour, the latest first; `pruned_at` is seconds since 1970."""

    store: str
    schema: str
    size_bytes: int
    statements: int
    operations: int
    calls: int
    windows: tuple[Windows, ...]
    processes: int
    writers: tuple[Process, ...]
    recommendations: tuple[Advice, ...]
    pruned_at: float | None


def info(where: str | os.PathLike[str], retention: Retention = Retention()) -> Info:  # noqa: B008  it is frozen
    """Look at a store. Raises StoreError."""
    place = place_of(where)
    with opened(where) as connection:
        now = check(connection, place).clock or time.time()
        due = limits(now, retention)
        pruned_at = select(tables.meta.c.value).where(tables.meta.c.key == "pruned_at")
        pruned = connection.execute(pruned_at).scalar()
        return Info(
            store=place.label,
            schema=tables.HEAD,
            size_bytes=place.file.stat().st_size if place.file else _size(connection),
            statements=_count(connection, tables.statement),
            operations=_count(connection, tables.figure, tables.figure.c.kind == Operation.KIND),
            calls=sum(_calls(connection, each) for each in STATEMENTS.windows),
            windows=tuple(map(partial(_windows, connection), range(len(due)), due)),
            processes=_count(connection, tables.writer, tables.writer.c.host != ""),
            writers=_writers(connection, now - 3600),
            recommendations=tuple(advice(connection)),
            pruned_at=int(pruned) / 1e6 if pruned else None,
        )


def _count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    number: int = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
    return number


def _calls(connection: Connection, window: Table) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(window.c.calls), 0))).scalar_one())


def _windows(connection: Connection, size: int, before: int) -> Windows:
    rows, since, until, due = 0, list[int](), list[int](), 0
    for window in (family.windows[size] for family in tables.FAMILIES):
        starts = window.c.starts
        span = select(func.count(), func.min(starts), func.max(starts) + tables.SECONDS[window])
        number, first, last = connection.execute(span).one()
        rows += number
        due += _count(connection, window, starts < before)
        if number:
            since.append(first)
            until.append(last)
    name = STATEMENTS.windows[size].name
    return Windows(name, rows, min(since, default=None), max(until, default=None), due)


def _writers(connection: Connection, since: float) -> tuple[Process, ...]:
    columns = tables.writer.c
    query = select(columns.host, columns.pid, columns.seen)
    query = query.where(columns.seen >= since, columns.host != "").order_by(columns.seen.desc(), columns.pid)
    return tuple(Process(row.host, row.pid, row.seen) for row in connection.execute(query))


def _size(connection: Connection) -> int:
    """Of everything in the schema: tables, their partitions, indexes."""
    query = text(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    )
    octets: int = connection.execute(query).scalar_one()
    return octets
