"""`dbperf store prune`: minutes become hours, hours become days, days expire; nothing else is lost."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, exists, func, select, update

from dbperf.model.workload import Unseen
from dbperf.workload.store import tables
from dbperf.workload.store.connect import place_of, telling
from dbperf.workload.store.counts import from_row, named_in
from dbperf.workload.store.partitions import drop_partitions, make_partitions
from dbperf.workload.store.read import SAMPLES, opened, ranked_samples
from dbperf.workload.store.rows import keep, put
from dbperf.workload.store.schema import check
from dbperf.workload.store.tables import FIGURES, STATEMENTS, Family
from dbperf.workload.store.windows import put_counts, totals

_CHUNK = 1000
_WASTE = 0.25
"""The share of a file that may be free."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds that windows stay as they are: minutes and hours until they are rolled up, days until they
    expire, and with them the runs of an analysis and the processes that were not seen since.
    """

    minutes: int = 2 * 3600
    hours: int = 2 * 86400
    days: int = 90 * 86400


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows that were rolled up, from `minutes` and from `hours`; `days` that expired, and `statements` of
    which nothing was left then.
    """

    minutes: int
    hours: int
    days: int
    statements: int


def limits(now: float, retention: Retention) -> tuple[int, int, int]:
    """Which minutes, hours and days are due: those that start before these times, seconds since 1970. Minutes
    are added up to whole hours only, and hours to whole days.
    """
    return (
        int(now - retention.minutes) // 3600 * 3600,
        int(now - retention.hours) // 86400 * 86400,
        int(now - retention.days) // 86400 * 86400,
    )


def prune(
    where: str | os.PathLike[str],
    retention: Retention = Retention(),
    now: float | None = None,
) -> Pruned:
    """Roll up, expire, and give back the space. Raises StoreError.

    Each step is a transaction, so to do it again, after a failure too, is harmless. Writers go on meanwhile:
    what is rolled up is older than any window that a process still writes into.
    """
    place = place_of(where)
    with opened(where, "maintain") as connection:
        standing = check(connection, place)
        own, now = standing.store_id, now or standing.clock or time.time()
        due = limits(now, retention)
        if standing.clock:
            make_partitions(connection)
        minutes = _roll(connection, own, 0, due[0])
    with opened(where, "maintain") as connection:
        hours = _roll(connection, own, 1, due[1])
        _retire_writers(connection, own, now, due[2])
    with opened(where, "alone") as connection:
        days = _expire(connection, due[2])
        statements = _forget(connection)
        if days:
            _forget_names(connection)
        if standing.clock:
            drop_partitions(connection)
    if place.file:
        with telling(place):
            _shrink(place.file, anew=hours > 0)
    return Pruned(minutes, hours, days, statements)


def _roll(connection: Connection, own: int, size: int, end: int) -> int:
    """Add up what starts before `end`, of all writers, in rows of the store's own that are one size coarser;
    how many rows went.
    """
    gone = 0
    for family in tables.FAMILIES:
        fine, coarse = family.windows[size : size + 2]
        span = tables.SECONDS[coarse]
        starts = (fine.c.starts // span * span).label("starts")
        query = totals(connection, family, fine, starts).where(fine.c.starts < end)
        for rows in connection.execute(query.execution_options(yield_per=_CHUNK)).partitions():
            _add_up(connection, own, family, size + 1, rows)
        gone += connection.execute(delete(fine).where(fine.c.starts < end)).rowcount
    if gone:
        _mark(connection)
    return gone


def _add_up(connection: Connection, own: int, family: Family, size: int, rows: Sequence[Row[Any]]) -> None:
    columns = family.windows[size].c
    there = select(family.windows[size]).where(
        columns.writer_id == own,
        columns[family.key].in_({row[0] for row in rows}),
        columns.starts.in_({row.starts for row in rows}),
    )
    before = {(row[0], row.starts): from_row(row, family) for row in connection.execute(there)}
    after = {}
    for row in rows:
        key, counts = (row[0], row.starts), from_row(row, family)
        after[family, *key] = before[key].plus(counts) if key in before else counts
    put_counts(connection, after, own, size=size)


def _mark(connection: Connection) -> None:
    """Remember that rows lost their writers: to merge a source again would count them twice."""
    put(connection, tables.meta, [{"key": "pruned_at", "value": str(int(time.time() * 1e6))}])


def _retire_writers(connection: Connection, own: int, now: float, before: int) -> None:
    """Put what processes long gone did not keep into the store's own row."""
    columns = tables.writer.c
    gone = (columns.id != own) & (columns.seen < before)
    names = ("flushes", *asdict(Unseen()))
    sums = connection.execute(select(*(func.sum(columns[name]) for name in names)).where(gone)).one()
    if sums[0] is None:
        return
    blank = dict.fromkeys(names, 0)
    keep(
        connection,
        tables.writer,
        [{"id": own, "host": "", "pid": 0, "started": int(now), "seen": int(now), **blank}],
    )
    more = {name: columns[name] + int(total) for name, total in zip(names, sums, strict=True)}
    connection.execute(update(tables.writer).where(columns.id == own).values({"seen": int(now), **more}))
    connection.execute(delete(tables.writer).where(gone))
    _mark(connection)


def _expire(connection: Connection, before: int) -> int:
    run, newer = tables.run, tables.run.alias()
    superseded = exists().where(newer.c.target == run.c.target, newer.c.at > run.c.at)
    connection.execute(delete(run).where(run.c.at < before * 1_000_000, superseded))
    connection.execute(delete(tables.finding).where(tables.finding.c.run_id.not_in(select(run.c.id))))
    days = [family.windows[-1] for family in tables.FAMILIES]
    gone = sum(connection.execute(delete(day).where(day.c.starts < before)).rowcount for day in days)
    if gone:
        _mark(connection)
    return gone


def _forget(connection: Connection) -> int:
    """Drop the statements and figures that have no window left, and samples beyond the newest; how many
    statements. Nobody writes meanwhile: a process tells of a statement once a minute.
    """
    statement, sample = tables.statement, tables.sample
    _drop_unseen(connection, FIGURES)
    gone = _drop_unseen(connection, STATEMENTS)
    if gone:
        known = select(statement.c.id)
        connection.execute(delete(sample).where(sample.c.statement_id.not_in(known)))
        connection.execute(delete(tables.plan).where(tables.plan.c.statement_id.not_in(known)))
        prints = select(statement.c.fingerprint)
        connection.execute(delete(tables.facts).where(tables.facts.c.fingerprint.not_in(prints)))
    ranked = ranked_samples()
    surplus = select(ranked.c.digest).where(ranked.c.rank > SAMPLES)
    connection.execute(delete(sample).where(sample.c.digest.in_(surplus)))
    return gone


def _drop_unseen(connection: Connection, family: Family) -> int:
    thing = family.thing
    seen = [exists().where(window.c[family.key] == thing.c.id) for window in family.windows]
    return connection.execute(delete(thing).where(*(~each for each in seen))).rowcount


def _forget_names(connection: Connection) -> None:
    """Drop the sites and labels that nothing is counted by any more."""
    used: dict[Table, set[int]] = {tables.site: set(), tables.label: set()}
    for window in STATEMENTS.windows:
        for column, table in tables.NAMED_BY.items():
            query = select(window.c[column]).distinct().execution_options(yield_per=_CHUNK)
            for (text,) in connection.execute(query):
                used[table] |= named_in(text, column)
    for table, ids in used.items():
        unused = sorted(set(connection.execute(select(table.c.id)).scalars()) - ids)
        for at in range(0, len(unused), _CHUNK):
            connection.execute(delete(table).where(table.c.id.in_(unused[at : at + _CHUNK])))


def _shrink(file: Path, *, anew: bool) -> None:
    """Write the file anew where much of it is free, and once a day, when hours became days: rows that came
    one by one, between others, leave pages half empty.
    """
    with closing(sqlite3.connect(file, timeout=5)) as connection:
        ((free,),) = connection.execute("PRAGMA freelist_count")
        ((pages,),) = connection.execute("PRAGMA page_count")
        if anew or free > pages * _WASTE:
            connection.execute("VACUUM")
