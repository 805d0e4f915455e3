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
from dbperf.workload.store.counts import from_row, to_row
from dbperf.workload.store.partitions import drop_partitions, make_partitions
from dbperf.workload.store.read import SAMPLES, opened, ranked_samples, totals
from dbperf.workload.store.rows import keep, put
from dbperf.workload.store.schema import check

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


def limits(now: float, retention: Retention) -> dict[Table, int]:
    """Which windows are due: those that start before this time, seconds since 1970. Minutes are added up to
    whole hours only, and hours to whole days.
    """
    return {
        tables.minute: int(now - retention.minutes) // 3600 * 3600,
        tables.hour: int(now - retention.hours) // 86400 * 86400,
        tables.day: int(now - retention.days) // 86400 * 86400,
    }


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
        minutes = _roll(connection, own, tables.minute, tables.hour, due[tables.minute])
    with opened(where, "maintain") as connection:
        hours = _roll(connection, own, tables.hour, tables.day, due[tables.hour])
        _retire_writers(connection, own, now, due[tables.day])
    with opened(where, "alone") as connection:
        days = _expire(connection, due[tables.day])
        statements = _forget(connection)
        if days:
            _forget_sites(connection)
        if standing.clock:
            drop_partitions(connection)
    if place.file:
        with telling(place):
            _shrink(place.file, anew=hours > 0)
    return Pruned(minutes, hours, days, statements)


def _roll(connection: Connection, own: int, fine: Table, coarse: Table, end: int) -> int:
    """Add up what starts before `end`, of all writers, in rows of the store's own; how many rows went."""
    span = tables.SECONDS[coarse]
    starts = (fine.c.starts // span * span).label("starts")
    query = totals(connection, fine, starts).where(fine.c.starts < end)
    for rows in connection.execute(query.execution_options(yield_per=_CHUNK)).partitions():
        _add_up(connection, own, coarse, rows)
    gone = connection.execute(delete(fine).where(fine.c.starts < end)).rowcount
    if gone:
        _mark(connection)
    return gone


def _add_up(connection: Connection, own: int, coarse: Table, rows: Sequence[Row[Any]]) -> None:
    columns = coarse.c
    there = select(coarse).where(
        columns.writer_id == own,
        columns.statement_id.in_({row.statement_id for row in rows}),
        columns.starts.in_({row.starts for row in rows}),
    )
    before = {(row.statement_id, row.starts): from_row(row) for row in connection.execute(there)}
    after = {}
    for row in rows:
        key, counts = (row.statement_id, row.starts), from_row(row)
        after[key] = before[key].plus(counts) if key in before else counts
    own_rows = [
        {"statement_id": statement, "starts": starts, "writer_id": own, **to_row(counts)}
        for (statement, starts), counts in after.items()
    ]
    put(connection, coarse, own_rows)


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
    gone = connection.execute(delete(tables.day).where(tables.day.c.starts < before)).rowcount
    if gone:
        _mark(connection)
    return gone


def _forget(connection: Connection) -> int:
    """Drop the statements that have no window left, and samples beyond the newest. Nobody writes meanwhile:
    a process tells of a statement once a minute.
    """
    statement, sample = tables.statement, tables.sample
    seen = [exists().where(window.c.statement_id == statement.c.id) for window in tables.SECONDS]
    gone = connection.execute(delete(statement).where(*(~each for each in seen))).rowcount
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


def _forget_sites(connection: Connection) -> None:
    used: set[int] = set()
    for window in tables.SECONDS:
        query = select(window.c.sites).distinct().execution_options(yield_per=_CHUNK)
        for (text,) in connection.execute(query):
            used.update(int(part.partition("*")[0]) for part in text.split())
    known = set(connection.execute(select(tables.site.c.id)).scalars())
    unused = sorted(known - used)
    for at in range(0, len(unused), _CHUNK):
        connection.execute(delete(tables.site).where(tables.site.c.id.in_(unused[at : at + _CHUNK])))


def _shrink(file: Path, *, anew: bool) -> None:
    """Write the file anew where much of it is free, and once a day, when hours became days: rows that came
    one by one, between others, leave pages half empty.
    """
    with closing(sqlite3.connect(file, timeout=5)) as connection:
        ((free,),) = connection.execute("PRAGMA freelist_count")
        ((pages,),) = connection.execute("PRAGMA page_count")
        if anew or free > pages * _WASTE:
            connection.execute("VACUUM")
