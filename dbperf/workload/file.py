"""A workload in one SQLite file: written beside its place and moved there whole, so it is never half."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbperf.errors import InputError, WorkloadFileError
from dbperf.model.histogram import Latency
from dbperf.model.workload import CallSite, Sample, Statement, Unseen, Workload
from dbperf.workload import values
from dbperf.workload.replacing import replacing

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x64627066  # "dbpf", at byte 68 of the file: https://www.sqlite.org/fileformat2.html
_MAGIC = b"SQLite format 3\0"

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE coverage (folded_calls INTEGER NOT NULL, observer_failures INTEGER NOT NULL);
CREATE TABLE statement (
    id INTEGER PRIMARY KEY, sql TEXT NOT NULL, fingerprint TEXT NOT NULL, dialect TEXT NOT NULL,
    database TEXT NOT NULL, calls INTEGER NOT NULL, parameter_sets INTEGER NOT NULL, rows INTEGER NOT NULL,
    errors INTEGER NOT NULL, cancellations INTEGER NOT NULL, execute_seconds REAL NOT NULL,
    UNIQUE (fingerprint, dialect, database)
);
CREATE TABLE latency (
    statement INTEGER NOT NULL REFERENCES statement, bucket INTEGER NOT NULL, calls INTEGER NOT NULL
);
CREATE TABLE call_site (
    statement INTEGER NOT NULL REFERENCES statement, file TEXT NOT NULL, line INTEGER NOT NULL,
    function TEXT NOT NULL, calls INTEGER NOT NULL
);
CREATE TABLE sample (
    statement INTEGER NOT NULL REFERENCES statement, sql TEXT NOT NULL, parameters TEXT NOT NULL
);
"""


def save(workload: Workload, path: str | os.PathLike[str]) -> None:
    """Write a workload to `path`, replacing an earlier one; mode 0600 when it holds parameters.

    Raises InputError when the file there is no workload (it stays as it is) or when writing fails (the
    earlier workload stays).
    """
    place = Path(os.path.realpath(path))  # through a link, the file it leads to is replaced and not the link
    try:
        if place.exists() and not _is_empty(place) and not _is_workload(place):
            raise InputError(f"{path}: exists and is not a dbperf workload, so it is not overwritten")
        mode = 0o600 if any(each.samples for each in workload.statements) else 0o666
        with replacing(place, mode) as beside, closing(sqlite3.connect(beside)) as database:
            # A rollback journal would protect a file that is thrown away when anything fails.
            database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            database.executescript(f"BEGIN; {_SCHEMA}")
            _write(database, workload)
            database.commit()
    except (OSError, sqlite3.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(f"{path}: cannot write the workload: {reason}") from error


def load(path: str | os.PathLike[str]) -> Workload:
    """Read a workload. Raises WorkloadFileError when the file is missing, is no workload, is torn, or was
    written by a newer dbperf.
    """
    place = Path(path)
    try:
        if not _is_workload(place):
            raise WorkloadFileError(f"{path}: {_what_it_is(place)}")
        # immutable: files are only ever replaced whole, so no lock and no journal beside it.
        uri = f"{place.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                newer = f"schema {version}, this one reads up to {SCHEMA_VERSION}"
                raise WorkloadFileError(f"{path}: written by a newer dbperf ({newer}): upgrade dbperf")
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise WorkloadFileError(f"{path}: the workload file is damaged")
            return _read(database)
    except OSError as error:
        raise WorkloadFileError(f"{path}: {error.strerror or error}") from error
    except (sqlite3.Error, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())  # SQLite quotes what it stumbled over, line breaks too
        raise WorkloadFileError(f"{path}: the workload file is damaged ({reason})") from error


def _is_workload(place: Path) -> bool:
    if not place.is_file() and place.exists():
        return False
    with place.open("rb") as file:
        header = file.read(100)
    return header.startswith(_MAGIC) and header[68:72] == _APPLICATION_ID.to_bytes(4)


def _is_empty(place: Path) -> bool:
    """Whether there is nothing to lose: what mktemp makes."""
    return place.is_file() and place.stat().st_size == 0


def _what_it_is(place: Path) -> str:
    if not place.is_file():
        return "not a file"
    with place.open("rb") as file:
        start = file.read(len(_MAGIC))
    if not start:
        return "the file is empty, not a dbperf workload"
    if start == _MAGIC:
        return "another program's SQLite database, not a dbperf workload"
    return "not a dbperf workload"


def _write(database: sqlite3.Connection, workload: Workload) -> None:
    unseen = workload.coverage
    database.execute("INSERT INTO coverage VALUES (?, ?)", (unseen.folded_calls, unseen.observer_failures))
    for key, each in enumerate(workload.statements):
        counts = (each.calls, each.parameter_sets, each.rows, each.errors, each.cancellations)
        row = (key, _text(each.sql), each.fingerprint, each.dialect, _text(each.database), *counts)
        database.execute(
            "INSERT INTO statement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, each.execute_seconds)
        )
        database.executemany(
            "INSERT INTO latency VALUES (?, ?, ?)", ((key, *bucket) for bucket in each.latency.buckets)
        )
        sites = ((key, _text(s.file), s.line, s.function, s.calls) for s in each.call_sites)
        database.executemany("INSERT INTO call_site VALUES (?, ?, ?, ?, ?)", sites)
        samples = ((key, _text(s.sql), values.dumps(s.parameters)) for s in each.samples)
        database.executemany("INSERT INTO sample VALUES (?, ?, ?)", samples)


def _text(text: str) -> str:
    # Half surrogates, in a file's name or in SQL no server accepted, have no UTF-8.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _read(database: sqlite3.Connection) -> Workload:
    coverage = Unseen(*database.execute("SELECT folded_calls, observer_failures FROM coverage").fetchone())
    buckets = _by_statement(database, "SELECT statement, bucket, calls FROM latency")
    sites = _by_statement(database, "SELECT statement, file, line, function, calls FROM call_site")
    samples = _by_statement(database, "SELECT statement, sql, parameters FROM sample")
    statements = []
    for key, *row in database.execute(
        "SELECT id, sql, fingerprint, dialect, database, calls, parameter_sets, rows, errors, cancellations,"
        " execute_seconds FROM statement ORDER BY id"
    ):
        statement = replace(
            Statement(*row),
            latency=Latency(tuple(buckets[key])),
            call_sites=tuple(CallSite(*site) for site in sites[key]),
            samples=tuple(Sample(sql, values.loads(parameters)) for sql, parameters in samples[key]),
        )
        statements.append(statement)
    return Workload(tuple(statements), coverage)


def _by_statement(database: sqlite3.Connection, query: str) -> defaultdict[int, list[tuple[Any, ...]]]:
    rows: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for key, *row in database.execute(f"{query} ORDER BY rowid"):
        rows[key].append(tuple(row))
    return rows
