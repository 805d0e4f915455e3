"""What a driver or the system says, as one line that says what to do."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

_UPGRADE = "there is no dbperf store that this user may use: run dbperf store upgrade"

_POSTGRES = {
    "42P01": _UPGRADE,
    "3F000": _UPGRADE,
    "25006": "the database is read-only",
    "42501": "no permission: the store belongs to another user",
    "53100": "the disk is full",
    "55P03": "another process holds a lock: try again",
    "57014": "another process holds a lock, or the server is too slow: try again",
    "40P01": "another process holds a lock: try again",
}

_SQLITE = {
    sqlite3.SQLITE_BUSY: "locked by another process: try again",
    sqlite3.SQLITE_LOCKED: "locked by another process: try again",
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full",
    sqlite3.SQLITE_READONLY: "cannot be written: no permission",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: no permission for the file or its folder",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk fails, or is full",
}


def told(error: Exception, password: str) -> str:
    """Why it failed. `password` is taken out wherever it stands."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, OSError):
        return original.strerror or type(original).__name__
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(original)
    if known := _POSTGRES.get(getattr(original, "sqlstate", None) or ""):
        return known
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "failed" in line] or lines or ["no connection"]
    text = telling[-1].removeprefix("connection failed: ").removeprefix("- ")
    return text.replace(password, "***") if password else text


def _of_sqlite(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if known := _SQLITE.get(code & 0xFF):
        return known
    return damaged(error)


def damaged(error: Exception) -> str:
    """What is said of content that dbperf did not write."""
    reason = " ".join(str(error).split())  # SQLite quotes what it stumbled over, line breaks too
    return f"the store is damaged ({reason})"
