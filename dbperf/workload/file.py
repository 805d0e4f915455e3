"""A workload in one SQLite file, which is a store: written beside its place and moved there whole."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DBAPIError

from dbperf.errors import InputError, StoreError
from dbperf.model.workload import Workload
from dbperf.workload.replacing import replacing
from dbperf.workload.store import tables
from dbperf.workload.store.connect import check_file, connect, place_of, transaction
from dbperf.workload.store.counts import counts_by_id
from dbperf.workload.store.describe import describe, keep_samples
from dbperf.workload.store.read import opened, read_from
from dbperf.workload.store.rows import Row, put
from dbperf.workload.store.schema import create
from dbperf.workload.store.windows import put_counts


def save(workload: Workload, path: str | os.PathLike[str]) -> None:
    """Write a workload to `path`, replacing an earlier one; mode 0600 when it holds parameters.

    Raises InputError when the file there is no workload, or the history that a program writes itself (it
    stays as it is), or when writing fails (the earlier workload stays).
    """
    with new_file(path, private=any(each.samples for each in workload.statements)) as connection:
        _fill(connection, workload)


def load(path: str | os.PathLike[str], since: float | None = None, detailed: int | None = None) -> Workload:
    """Read a workload, or a history: all of it, or what ran `since` then; see `store.read.read`.

    Raises StoreError when the file is missing, is none, is damaged, or is of another version.
    """
    with opened(path, thorough=True) as connection:
        return read_from(connection, since, None, detailed)


@contextmanager
def new_file(path: str | os.PathLike[str], *, private: bool) -> Iterator[Connection]:
    """A connection to a new store that takes the place of `path` when the block ends well.

    It is inside a transaction. What became of advice on the workload that is replaced stays known. Raises
    InputError as `save` does.
    """
    place = Path(os.path.realpath(path))  # through a link, the file it leads to is replaced and not the link
    try:
        check_replaceable(path)
        mode = 0o600 if private else 0o666
        with (
            replacing(place, mode) as beside,
            connect(place_of(beside), "new") as connection,
            transaction(connection),
        ):
            create(connection)
            put(connection, tables.recommendation, _advice(place))
            connection.exec_driver_sql(f"PRAGMA user_version = {tables.RECORDING}")
            yield connection
    except (OSError, DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        reason = (original.strerror if isinstance(original, OSError) else None) or str(original)
        raise InputError(f"{path}: cannot write the workload: {reason}") from error


def _advice(place: Path) -> list[Row]:
    try:
        with opened(place) as connection:
            return [dict(row) for row in connection.execute(select(tables.recommendation)).mappings()]
    except StoreError:  # there is none, or nothing that can be read
        return []


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Raises InputError when what is at `path` is not a workload that `save` may replace; OSError."""
    place = Path(path)
    if not place.exists():
        return
    try:
        kind = check_file(place, place.name, may_be_empty=True)  # what mktemp makes is empty
    except StoreError:
        raise InputError(f"{path}: exists and is not a dbperf workload, so it is not overwritten") from None
    if kind == tables.HISTORY:
        how = f"write to another file, then dbperf store merge FILE --into {path}"
        raise InputError(f"{path}: holds a history, so it is not overwritten: {how}")


def _fill(connection: Connection, workload: Workload) -> None:
    now, own = time.time(), secrets.randbits(63)
    describe(connection, workload, now)
    keep_samples(connection, workload.statements, now)
    starts = tables.minute_of(now)
    put_counts(connection, {(*key, starts): each for key, each in counts_by_id(workload).items()}, own)
    process = {"id": own, "host": socket.gethostname(), "pid": os.getpid(), "flushes": 1}
    times = {"started": int(now), "seen": int(now)}
    put(connection, tables.writer, [{**process, **times, **asdict(workload.coverage)}])
    if workload.notes:
        connection.execute(insert(tables.meta).values(key="notes", value=json.dumps(workload.notes)))
