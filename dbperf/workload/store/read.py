"""A store, or the part of it between two times, as a workload."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import nlargest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, FromClause, Label, Select, Subquery, Table, func, select, union_all

from dbperf.errors import StoreError
from dbperf.model.histogram import Latency
from dbperf.model.workload import CallSite, Sample, Statement, Unseen, Workload
from dbperf.workload import values
from dbperf.workload.store import tables
from dbperf.workload.store.connect import Mode, connect, place_of, telling, transaction
from dbperf.workload.store.counts import NUMBERS, Counts, from_text
from dbperf.workload.store.schema import check

SAMPLES = 8
"""Parameter sets of a statement that are read."""


@contextmanager
def opened(
    where: str | os.PathLike[str], mode: Mode = "read", *, thorough: bool = False
) -> Iterator[Connection]:
    """A transaction on a store that exists and is of this version. Raises StoreError.

    `thorough` looks at every page of a recording first; a history may be large.
    """
    place = place_of(where)
    if place.file and not place.file.exists():
        raise StoreError(f"{place.label}: {os.strerror(errno.ENOENT)}")
    with telling(place), connect(place, mode) as connection, transaction(connection):
        check(connection, place)
        if thorough and place.file:
            _look_through(connection, place.file)
        yield connection


def _look_through(connection: Connection, file: Path) -> None:
    if connection.exec_driver_sql("PRAGMA user_version").scalar_one() == tables.HISTORY:
        return
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    octets = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    if file.stat().st_size < pages * octets:
        raise ValueError("its end is missing")
    if (found := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
        raise ValueError(found)


def read(
    where: str | os.PathLike[str],
    since: float | None = None,
    until: float | None = None,
    detailed: int | None = None,
) -> Workload:
    """What is in a store, in windows that overlap the time from `since` to `until`, seconds since 1970.

    Old windows are a day long, so the edges are coarse there. Where `detailed` is given, only so many of the
    slowest statements of each database have latency and call sites: to add those up takes most of the time.
    Raises StoreError.
    """
    with opened(where) as connection:
        return read_from(connection, since, until, detailed)


def read_from(
    connection: Connection,
    since: float | None = None,
    until: float | None = None,
    detailed: int | None = None,
) -> Workload:
    """The same over a connection, inside a transaction. Raises ValueError for what dbperf did not write."""
    within = [_overlapping(window, since, until) for window in tables.SECONDS]
    counts = _counts(connection, within, detailed)
    sites = {row.id: (row.file, row.line, row.function) for row in connection.execute(select(tables.site))}
    samples = _samples(connection)
    statements = []
    for row in connection.execute(select(tables.statement)):
        if row.id in counts:
            each = counts[row.id]
            called = [CallSite(*sites[key], calls) for key, calls in each.sites.items() if key in sites]
            statements.append(
                Statement(
                    row.sql,
                    row.fingerprint,
                    row.dialect,
                    row.database,
                    execute_seconds=each.numbers["execute_ns"] / 1e9,
                    latency=Latency.of(each.latency),
                    call_sites=tuple(sorted(called, key=lambda site: (-site.calls, site.file, site.line))),
                    samples=tuple(samples[row.id]),
                    **{name: each.numbers[name] for name in NUMBERS if name != "execute_ns"},  # type: ignore[arg-type]
                )
            )
    statements.sort(key=lambda each: (-each.execute_seconds, each.fingerprint, each.database))
    notes = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == "notes")).scalar()
    return Workload(tuple(statements), _coverage(connection), tuple(json.loads(notes or "[]")))


def _overlapping(window: Table, since: float | None, until: float | None) -> FromClause:
    query = select(window)
    if since is not None:
        query = query.where(window.c.starts + tables.SECONDS[window] > since)
    if until is not None:
        query = query.where(window.c.starts < until)
    return query.subquery()


def _counts(connection: Connection, windows: Sequence[FromClause], detailed: int | None) -> dict[int, Counts]:
    """Sums of all statements, and then, of the slowest `detailed`, what takes long to add up."""
    each_window = union_all(*(_sums(window) for window in windows)).subquery()
    numbers = {
        row[0]: Counter(dict(zip(NUMBERS, map(int, row[1:]), strict=True)))
        for row in connection.execute(_sums(each_window))
    }
    slowest = None if detailed is None else _slowest(connection, numbers, detailed)
    latencies: defaultdict[int, list[str]] = defaultdict(list)
    sites: defaultdict[int, list[str]] = defaultdict(list)
    for window in windows:
        key = window.c.statement_id
        query = select(key, *_texts(connection, window)).group_by(key)
        for row in connection.execute(query if slowest is None else query.where(key.in_(slowest))):
            latencies[row[0]].append(str(row.latency))
            sites[row[0]].append(str(row.sites))
    return {
        key: Counts(each, from_text(" ".join(latencies[key])), from_text(" ".join(sites[key])))
        for key, each in numbers.items()
    }


def _slowest(connection: Connection, spent: Mapping[int, Counter[str]], number: int) -> list[int]:
    databases: defaultdict[str, list[int]] = defaultdict(list)
    for row in connection.execute(select(tables.statement.c.id, tables.statement.c.database)):
        if row.id in spent:
            databases[row.database].append(row.id)
    largest = (nlargest(number, keys, lambda key: spent[key]["execute_ns"]) for keys in databases.values())
    return sorted(key for keys in largest for key in keys)


def totals(connection: Connection, window: FromClause, *by: Label[Any]) -> Select[Any]:
    """A query for the counts of each statement in a table of windows, apart `by` more; texts are joined."""
    key = window.c.statement_id
    columns = (key, *by, *_numbers(window), *_texts(connection, window))
    return select(*columns).group_by(key, *(each.element for each in by))


def _sums(rows: FromClause) -> Select[Any]:
    return select(rows.c.statement_id, *_numbers(rows)).group_by(rows.c.statement_id)


def _numbers(window: FromClause) -> list[Label[Any]]:
    return [func.sum(window.c[name]).label(name) for name in NUMBERS]


def _texts(connection: Connection, window: FromClause) -> list[Label[Any]]:
    join = func.string_agg if connection.dialect.name == "postgresql" else func.group_concat
    return [join(window.c[name], " ").label(name) for name in ("latency", "sites")]


def ranked_samples() -> Subquery:
    """The samples, with the newest of each statement at `rank` 1."""
    columns = tables.sample.c
    rank = func.row_number().over(partition_by=columns.statement_id, order_by=columns.seen.desc())
    return select(tables.sample, rank.label("rank")).subquery()


def _samples(connection: Connection) -> defaultdict[int, list[Sample]]:
    ranked = ranked_samples()
    newest = select(ranked).where(ranked.c.rank <= SAMPLES).order_by(ranked.c.statement_id, ranked.c.seen)
    samples: defaultdict[int, list[Sample]] = defaultdict(list)
    for row in connection.execute(newest):
        samples[row.statement_id].append(Sample(row.sql, values.loads(row.parameters)))
    return samples


def _coverage(connection: Connection) -> Unseen:
    columns = tables.writer.c
    names = ("folded_calls", "observer_failures", "flush_failures")
    row = connection.execute(select(*(func.coalesce(func.sum(columns[name]), 0) for name in names))).one()
    return Unseen(*map(int, row))
