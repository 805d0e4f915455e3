"""Connections to a store, their transactions, and what is said when there is none."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    QueuePool,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from dbperf.capture.database import database_of
from dbperf.errors import StoreError
from dbperf.workload.store.complaints import damaged, told
from dbperf.workload.store.tables import APPLICATION_ID, HISTORY, RECORDING, SCHEMA

Mode = Literal["read", "write", "maintain", "alone", "new"]
"""`read`: a snapshot. `write`: beside other writers, where the database can. `maintain`: beside writers, but
one at a time. `alone`: while nobody writes. `new`: a file that is thrown away when anything fails."""

_URL = re.compile(r"(?P<kind>\w+)(\+\w+)?://")
_MAGIC = b"SQLite format 3\0"
_PATIENCE = 5
"""Seconds a writer waits: for a connection, for a lock, for a statement."""
_LONGEST_LOCK = 30
"""Seconds to wait for a lock where writers would have to wait behind us."""
_TABLES, _MAINTENANCE = APPLICATION_ID, APPLICATION_ID + 1
"""Advisory locks. The first is shared by those who write and held alone by who changes the tables."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is: a file, or else a PostgreSQL database. `label` has no password."""

    label: str
    file: Path | None
    url: URL | None = None


def place_of(where: str | os.PathLike[str]) -> Place:
    """Of a path, an sqlite:// or a postgresql:// URL. Raises StoreError for any other URL."""
    given = os.fspath(where)
    if not (scheme := _URL.match(given)):
        return Place(given, Path(given).absolute())
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # its message would repeat the URL, password included
        raise StoreError("store: not a database URL; give a file or a postgresql:// URL") from None
    if scheme["kind"] == "sqlite" and url.database:
        return Place(url.database, Path(url.database).absolute())
    if scheme["kind"] not in {"postgresql", "postgres"}:
        raise StoreError(f"store: {scheme['kind']}:// is not supported; give a file or a postgresql:// URL")
    url = url.set(drivername="postgresql+psycopg")
    return Place(database_of(url), None, url)


@contextmanager
def telling(place: Place) -> Iterator[None]:
    """Turns what the driver and the system say into StoreError, one line."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        password = place.url.password if place.url else None
        raise StoreError(f"{place.label}: {told(error, str(password or ''))}") from error
    except (TypeError, ValueError) as error:  # text, or a number, that dbperf did not write
        raise StoreError(f"{place.label}: {damaged(error)}") from error


def connect(place: Place, mode: Mode) -> Connection:
    """A connection whose transactions are of a mode; see `open_engine`."""
    return open_engine(place, mode).connect()


def open_engine(place: Place, mode: Mode, *, private: bool = False, keep: bool = False) -> Engine:
    """An engine whose transactions are of a mode. Connecting raises StoreError or what `telling` tells.

    `keep` leaves the connection to a server open for the next transaction, until the engine is disposed of.

    A file is opened for each connection anew: it may have been replaced. Where `mode` is to write, one that
    is missing is made, readable by its owner alone if `private`; it has no tables yet.
    """
    if place.file is not None:
        return _file_engine(place.file, place.label, mode, private)
    # Without prepared statements it goes through pgbouncer too.
    options: dict[str, Any] = {
        "application_name": "dbperf",
        "connect_timeout": _PATIENCE,
        "prepare_threshold": None,
        "tcp_user_timeout": 2 * _PATIENCE * 1000,
        "keepalives_idle": _PATIENCE,
    }
    try:
        return create_engine(
            place.url or "",
            poolclass=QueuePool if keep else NullPool,
            execution_options={"dbperf_internal": True, "dbperf_mode": mode},
            connect_args=options,
        )
    except ImportError:
        how = "psycopg finds no libpq on this machine: pip install 'psycopg[binary]'"
        raise StoreError(f"{place.label}: {how}") from None


@contextmanager
def transaction(connection: Connection, *, patience: int = 0) -> Iterator[None]:
    """Committed when the block ends well. `patience` bounds, in seconds, what a statement may take."""
    with connection.begin():
        if connection.dialect.name == "postgresql":
            _prepare(connection, patience)
        yield


def _prepare(connection: Connection, patience: int) -> None:
    """Set what holds for this transaction alone: a connection may be shared with others, by pgbouncer."""
    mode = connection.get_execution_options()["dbperf_mode"]
    if mode == "read":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    settings = {
        "search_path": SCHEMA,
        "statement_timeout": f"{patience}s",
        "idle_in_transaction_session_timeout": f"{_LONGEST_LOCK}s",
        "lock_timeout": f"{patience or _LONGEST_LOCK}s",
    }
    prepared = [func.set_config(*each, True) for each in settings.items()]
    if mode != "read":
        lock = func.pg_advisory_xact_lock if mode == "alone" else func.pg_advisory_xact_lock_shared
        prepared.append(lock(_TABLES))
    connection.execute(select(*prepared))
    if mode == "maintain":
        connection.execute(select(func.pg_advisory_xact_lock(_MAINTENANCE)))


def _file_engine(path: Path, label: str, mode: Mode, private: bool) -> Engine:
    # A reader, too, may have to roll back what a writer that was killed left behind.
    uri = f"{path.as_uri()}?mode=rw"

    def opened() -> sqlite3.Connection:
        _prepare_file(path, mode, private)
        check_file(path, label, may_be_empty=mode != "read")
        return sqlite3.connect(
            uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )

    internal = {"dbperf_internal": True}
    engine = create_engine("sqlite://", creator=opened, poolclass=NullPool, execution_options=internal)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA synchronous = {'OFF' if mode == 'new' else 'NORMAL'}")
        if mode == "new":
            connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")

    return engine


def _prepare_file(path: Path, mode: Mode, private: bool) -> None:
    if mode != "read" and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600 if private else 0o666))
    elif private and path.is_file() and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def check_file(path: Path, label: str, *, may_be_empty: bool = False) -> int:
    """RECORDING or HISTORY. Raises StoreError, or OSError, for a file that is no store of dbperf's."""
    if not path.is_file() and path.exists():
        raise StoreError(f"{label}: not a file")
    with path.open("rb") as file:
        header = file.read(100)
    if not header and may_be_empty:
        return RECORDING
    if not header:
        raise StoreError(f"{label}: the file is empty")
    if not header.startswith(_MAGIC):
        raise StoreError(f"{label}: not a file that dbperf wrote")
    if header[68:72] != APPLICATION_ID.to_bytes(4):
        raise StoreError(f"{label}: another program's SQLite database, not a file that dbperf wrote")
    return int.from_bytes(header[60:64])


def make_history(connection: Connection) -> None:
    """From now on a file is somebody's history."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {HISTORY}")
