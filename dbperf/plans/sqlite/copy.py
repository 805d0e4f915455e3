"""A copy of the target's file that may be changed: the file itself is only read, nothing is left beside it.

The copy is SQLite's own temporary database (https://www.sqlite.org/inmemorydb.html, "temporary databases"):
in memory as far as the cache goes, beyond it in a file without a name, gone however the process ends.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from dbperf.errors import ConnectError, InputError

LOCK_SECONDS = 2.0
CACHE_BYTES = 256 * 2**20
_HEADER = b"SQLite format 3\0"
_HOW = "give a file, sqlite:///relative.db or sqlite:////absolute.db"


def file_of(url: str) -> Path:
    """The absolute path that a sqlite:// URL names. Raises InputError."""
    try:
        name = make_url(url).database or ""
    except (ArgumentError, ValueError):
        raise InputError(f"--db: not a database URL; {_HOW}") from None
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    if name in {"", ":memory:"}:
        raise InputError(f"--db: a SQLite database in memory ends with its process; {_HOW}")
    return Path(os.path.abspath(name))


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of the database at `path`, in autocommit mode.

    The copy is one consistent state; with a rollback journal, writers wait while it is made. Raises
    InputError or ConnectError, one line each, also when the file turns out to be damaged later.
    """
    logged = is_logged(path)
    _check_space(path.stat().st_size + _log_size(path))
    # No statement cache: SQLite counts the steps of a prepared statement on over its runs.
    with closing(sqlite3.connect("", isolation_level=None, cached_statements=0)) as copy:
        copy.execute(f"PRAGMA cache_size = -{CACHE_BYTES // 1024}")
        try:
            with _source(path, logged=logged) as source:
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_master")
                source.backup(copy)
            yield copy
        except sqlite3.Error as error:
            raise ConnectError(f"--db: {path}: {_reason(error)}") from None


def _beside(path: Path, suffix: str) -> Path:
    """A file that SQLite keeps beside the database itself, and not beside a link to it."""
    path = path.resolve()
    return path.with_name(path.name + suffix)


def _log_size(path: Path) -> int:
    log = _beside(path, "-wal")
    return log.stat().st_size if log.exists() else 0


def is_logged(path: Path) -> bool:
    """Whether the database has a write-ahead log (https://www.sqlite.org/fileformat2.html, offset 18)."""
    try:
        if path.is_dir():
            raise InputError(f"--db: {path}: a folder; {_HOW}")
        if not path.is_file():
            raise InputError(f"--db: {path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            head = file.read(len(_HEADER) + 4)
    except OSError as error:
        raise InputError(f"--db: {path}: {error.strerror}") from None
    if head and not head.startswith(_HEADER):
        raise InputError(f"--db: {path}: not a SQLite database, or an encrypted one")
    return head[18:19] == b"\2"


def _check_space(size: int) -> None:
    """What does not fit into the cache goes to the temporary folder, with indexes and sorts about twice."""
    folder = _temporary_folder()
    needed = 2 * max(0, size - CACHE_BYTES // 2)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"--db: a copy of {size / 2**20:,.0f} MB needs {needed / 2**20:,.0f} MB in {folder}, where "
            f"{free / 2**20:,.0f} MB are free; name another folder in SQLITE_TMPDIR"
        )


def _temporary_folder() -> str:
    """Where SQLite puts what the cache does not hold (https://www.sqlite.org/tempfiles.html, section 5)."""
    chosen = (os.environ.get("SQLITE_TMPDIR", ""), os.environ.get("TMPDIR", ""))
    usual = ("/var/tmp", "/usr/tmp", "/tmp") if os.name == "posix" else ()  # noqa: S108  SQLite's order
    usable = (
        each for each in (*chosen, *usual) if os.path.isdir(each) and os.access(each, os.W_OK | os.X_OK)
    )
    return next(usable, tempfile.gettempdir())


@contextmanager
def open_file(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection to the file itself. Raises InputError or ConnectError, one line each."""
    logged = is_logged(path)
    try:
        with _source(path, logged=logged) as source:
            yield source
    except sqlite3.Error as error:
        raise ConnectError(f"--db: {path}: {_reason(error)}") from None


@contextmanager
def _source(path: Path, *, logged: bool) -> Iterator[sqlite3.Connection]:
    """A read-only connection that creates no file.

    Even a reader makes the -wal and -shm files of a logged database where they are missing, and a reader
    that may not write leaves them there. So: both are there, they serve; a log is there alone (its process
    died, or it was copied so), it is read elsewhere; there is no log, or nothing in it, nobody has the file
    open.
    """
    log, shared = _beside(path, "-wal"), _beside(path, "-shm")
    if not logged or (log.exists() and shared.exists()):
        with _connected(path, "mode=ro") as source:
            yield source
        return
    before = _state(path)
    if _log_size(path):
        with tempfile.TemporaryDirectory(prefix="dbperf-") as folder:
            copied = Path(folder) / log.name.removesuffix("-wal")
            shutil.copy(path, copied)
            shutil.copy(log, folder)
            _check_unchanged(path, before)
            with _connected(copied, "mode=rw") as source:
                yield source
    else:
        with _connected(path, "mode=ro&immutable=1") as source:
            yield source
        _check_unchanged(path, before)


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, _log_size(path)


def _check_unchanged(path: Path, before: tuple[int, int, int]) -> None:
    """What is read without SQLite's locks was not written meanwhile. Raises ConnectError."""
    if _state(path) != before:
        raise ConnectError(f"--db: {path}: it was changed while it was read; try again")


def _connected(path: Path, options: str) -> closing[sqlite3.Connection]:
    uri = f"{path.as_uri()}?{options}"
    return closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=LOCK_SECONDS))


_REASONS = {
    "SQLITE_BUSY": f"locked by another process for more than {LOCK_SECONDS:.0f} s",
    "SQLITE_CORRUPT": "damaged: not all of it can be read",
    "SQLITE_NOTADB": "not a SQLite database, or an encrypted one",
    "SQLITE_READONLY_ROLLBACK": "its last writer died: open it with the application once, then try again",
    "SQLITE_FULL": "the disk is full",
}


def _reason(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    return next(
        (text for code, text in _REASONS.items() if name.startswith(code)), " ".join(str(error).split())
    )
