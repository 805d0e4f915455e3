"""`dbperf store merge`: what is in one store into another, as often as one likes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Table, func, select

from dbperf.errors import StoreError
from dbperf.workload.spool import read_spools
from dbperf.workload.store import tables
from dbperf.workload.store.connect import make_history, open_engine, place_of, telling, transaction
from dbperf.workload.store.read import opened
from dbperf.workload.store.recording import add_spooled
from dbperf.workload.store.rows import keep, put
from dbperf.workload.store.schema import check, create
from dbperf.workload.store.tables import STATEMENTS

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Merged:
    """What was in the source; `skipped` files of a folder were no spools, `torn` lines could not be read."""

    statements: int
    calls: int
    skipped: tuple[Path, ...] = ()
    torn: int = 0


@dataclass(frozen=True, slots=True)
class _Content:
    """Which stores, or processes, went into a store and when, and when rows last lost their writers there.

    Microseconds since 1970.
    """

    parts: dict[int, float]
    pruned_at: int


def merge(into: str | os.PathLike[str], source: str | os.PathLike[str]) -> Merged:
    """Add to a store what is in another one, a workload file, or a folder of spools that a `dbperf record`
    left behind. A file that is missing is made.

    Where both count the same, their rows have the same key, and the later state stays; so merging again adds
    what is new. What was advised on is not merged. Raises StoreError, and changes nothing, where calls would
    count twice: the source went in before, and rows lost their writers since, here or there.
    """
    if Path(source).is_dir():
        return _merge_spools(into, Path(source))
    with opened(source) as origin:
        content = _content(origin)
        private = origin.execute(select(tables.sample.c.digest).limit(1)).first() is not None
        with _opened(into, private=private) as connection:
            _admit(connection, content, into, source)
            for table in (tables.statement, tables.site, tables.label, tables.figure, tables.sample):
                _copy(origin, connection, table)
            for window in tables.SECONDS:
                _copy(origin, connection, window, newer="counted")
            _copy(origin, connection, tables.writer, newer="flushes")
        sums = [origin.execute(select(func.sum(window.c.calls))).scalar() for window in STATEMENTS.windows]
        statements = origin.execute(select(func.count()).select_from(tables.statement)).scalar_one()
    return Merged(statements, sum(int(each or 0) for each in sums))


def _merge_spools(into: str | os.PathLike[str], folder: Path) -> Merged:
    skipped: list[Path] = []
    spooled = list(read_spools(folder, skipped))
    if not spooled:
        raise StoreError(f"{folder}: no spool of dbperf record in this folder")
    private = any(each.parameters for one in spooled for batch in one.batches for each in batch.seen.observed)
    content = _Content({each.writer.id: math.inf for each in spooled}, 0)
    with _opened(into, private=private) as connection:
        _admit(connection, content, into, folder)
        added = add_spooled(connection, spooled)
    return Merged(added.statements, added.calls, tuple(skipped), added.torn)


@contextmanager
def _opened(where: str | os.PathLike[str], *, private: bool) -> Iterator[Connection]:
    place = place_of(where)
    engine = open_engine(place, "maintain", private=private)
    with telling(place), engine.connect() as connection, transaction(connection):
        if place.file:
            create(connection)
        make_history(connection)
        check(connection, place)
        yield connection


def _content(connection: Connection) -> _Content:
    settings = {row.key: row.value for row in connection.execute(select(tables.meta))}
    parts: dict[int, float] = {row.source_id: row.at for row in connection.execute(select(tables.merged))}
    return _Content(parts | {int(settings["id"]): math.inf}, int(settings.get("pruned_at", 0)))


def _admit(
    connection: Connection, content: _Content, into: str | os.PathLike[str], source: str | os.PathLike[str]
) -> None:
    """Raise unless merging is harmless; remember what goes in."""
    here = _content(connection)
    pruned_at = max(here.pruned_at, content.pruned_at)
    both = {part: min(at, content.parts[part]) for part, at in here.parts.items() if part in content.parts}
    if math.inf in both.values():
        raise StoreError(f"{source}: is {into} itself, or a copy of it")
    if both and min(both.values()) <= pruned_at:
        raise StoreError(
            f"{source}: went into {into} before, and one of them was pruned since:"
            " merged again, its calls would count twice"
        )
    now = int(time.time() * 1e6)
    put(connection, tables.merged, [{"source_id": part, "at": now} for part in content.parts])
    if pruned_at:
        put(connection, tables.meta, [{"key": "pruned_at", "value": str(pruned_at)}])


def _copy(origin: Connection, connection: Connection, table: Table, newer: str = "") -> None:
    for rows in origin.execute(select(table).execution_options(yield_per=_CHUNK)).mappings().partitions():
        if newer:
            put(connection, table, [dict(row) for row in rows], newer)
        else:
            keep(connection, table, [dict(row) for row in rows])
