"""A store, or the part of it between two times, as a workload."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from heapq import nlargest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Subquery, func, select, union_all

from dbperf.errors import StoreError
from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure, together
from dbperf.model.workload import (
    COUNTS,
    NUMBERS,
    TIMES,
    Access,
    CallSite,
    Counted,
    Sample,
    Statement,
    Unseen,
    Workload,
)
from dbperf.workload import values
from dbperf.workload.keys import key_of
from dbperf.workload.store import tables
from dbperf.workload.store.connect import Mode, connect, place_of, telling, transaction
from dbperf.workload.store.counts import Counts, accesses_from, from_text
from dbperf.workload.store.schema import check
from dbperf.workload.store.tables import FIGURES, STATEMENTS, Family
from dbperf.workload.store.windows import joined, overlapping, sums

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
    slowest statements of each database have latency, call sites and what else is no sum: to add those up
    takes most of the time. Raises StoreError.
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
    statements = _statements(connection, since, until, detailed)
    figures = _figures(connection, since, until)
    notes = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == "notes")).scalar()
    return Workload(statements, _coverage(connection), tuple(json.loads(notes or "[]")), figures)


def first_by(where: str | os.PathLike[str], since: float | None = None) -> float | None:
    """By when, in seconds since 1970, some statement in a store had run, of those that ran `since` then: the
    end of the first window; None where there is none. Raises StoreError.
    """
    with opened(where) as connection:
        ends = []
        for window in STATEMENTS.windows:
            rows = overlapping(window, since, None)
            starts = connection.execute(select(func.min(rows.c.starts))).scalar()
            ends += [] if starts is None else [starts + tables.SECONDS[window]]
        return min(ends, default=None)


def _statements(
    connection: Connection, since: float | None, until: float | None, detailed: int | None
) -> tuple[Statement, ...]:
    """The slowest in total first. Of all of them sums are read, and then, of the slowest `detailed`, what
    takes long to add up.
    """
    within = [overlapping(window, since, until) for window in STATEMENTS.windows]
    each_window = union_all(*(sums(STATEMENTS, rows) for rows in within)).subquery()
    numbers = {
        row[0]: Counter(dict(zip(NUMBERS, map(int, row[1:]), strict=True)))
        for row in connection.execute(sums(STATEMENTS, each_window))
    }
    slowest = None if detailed is None else _slowest(connection, numbers, detailed)
    texts = _texts(connection, STATEMENTS, within, slowest)
    names, samples = _names(connection), _samples(connection)
    statements = [
        _statement(row, Counts(numbers[row.id], texts(row.id)), names, samples[row.id])
        for row in connection.execute(select(tables.statement))
        if row.id in numbers
    ]
    statements.sort(key=lambda each: (-each.seconds, each.fingerprint, each.database))
    return tuple(statements)


def _figures(connection: Connection, since: float | None, until: float | None) -> tuple[Figure, ...]:
    within = [overlapping(window, since, until) for window in FIGURES.windows]
    texts = _texts(connection, FIGURES, within)
    figures = connection.execute(select(tables.figure))
    counts = ((row, texts(row.id)["counts"]) for row in figures)
    return together(Figure.of(row.kind, row.name, row.database, each) for row, each in counts if each)


def _texts(
    connection: Connection, family: Family, windows: Sequence[FromClause], only: Sequence[int] | None = None
) -> Callable[[int], dict[str, Counter[Any]]]:
    """What is counted in texts, for whom it is asked; of those that are not among `only`, it is not read."""
    parts: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for rows in windows:
        query = joined(connection, family, rows)
        for row in connection.execute(query if only is None else query.where(rows.c[family.key].in_(only))):
            for name, text in zip(family.texts, row[1:], strict=True):
                parts[row[0], name].append(str(text))
    return lambda key: {
        name: from_text(" ".join(parts.pop((key, name), ())), named=family.named) for name in family.texts
    }


@dataclass(frozen=True, slots=True)
class _Names:
    """What the numbers in texts stand for; one that is not there is of a row that was written by halves."""

    sites: Mapping[int, CallSite]
    labels: Mapping[int, str]

    def called(self, counts: Mapping[int, int]) -> tuple[CallSite, ...]:
        found = [self.sites[key].at(calls) for key, calls in counts.items() if key in self.sites]
        return tuple(sorted(found, key=lambda site: (-site.calls, site.file, site.line)))

    def counted(self, counts: Mapping[int, int]) -> Counted:
        found = [(self.labels[key], calls) for key, calls in counts.items() if key in self.labels]
        return tuple(sorted(found, key=lambda each: (-each[1], each[0])))

    def accessed(self, counts: Mapping[int, int]) -> tuple[Access, ...]:
        return tuple(sorted(accesses_from(counts, self.labels), key=lambda each: (-each.calls, key_of(each))))


def _names(connection: Connection) -> _Names:
    sites, labels = connection.execute(select(tables.site)), connection.execute(select(tables.label))
    return _Names(
        {row.id: CallSite(row.file, row.line, row.function, 0) for row in sites},
        {row.id: row.body for row in labels},
    )


def _statement(row: Row[Any], counts: Counts, names: _Names, samples: Sequence[Sample]) -> Statement:
    numbers, texts = counts.numbers, counts.texts
    return Statement(
        row.sql,
        row.fingerprint,
        row.dialect,
        row.database,
        latency=Latency.of(texts["latency"]),
        call_sites=names.called(texts["sites"]),
        failures=names.counted(texts["failures"]),
        operations=names.counted(texts["operations"]),
        accesses=names.accessed(texts["accesses"]),
        samples=tuple(samples),
        **{name: numbers[name] for name in COUNTS},
        **{f"{name}_seconds": numbers[f"{name}_ns"] / 1e9 for name in TIMES},  # type: ignore[arg-type]
    )


def _slowest(connection: Connection, spent: Mapping[int, Counter[str]], number: int) -> list[int]:
    databases: defaultdict[str, list[int]] = defaultdict(list)
    for row in connection.execute(select(tables.statement.c.id, tables.statement.c.database)):
        if row.id in spent:
            databases[row.database].append(row.id)

    def took(key: int) -> int:
        return spent[key]["execute_ns"] + spent[key]["fetch_ns"]

    largest = (nlargest(number, keys, took) for keys in databases.values())
    return sorted(key for keys in largest for key in keys)


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
    summed = (func.coalesce(func.sum(columns[each.name]), 0) for each in fields(Unseen))
    return Unseen(*map(int, connection.execute(select(*summed)).one()))
