"""A SQLite file looked over."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dbperf.model.checkup import Check, Checkup, Status
from dbperf.plans.sqlite.copy import is_logged, open_file

_FIRST = 5
# Virtual tables, and those they keep their data in, are their modules': ANALYZE is not for them.
_TABLES = """
SELECT name FROM sqlite_master t
WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL %'
  AND NOT EXISTS (SELECT 1 FROM sqlite_master v WHERE v.sql LIKE 'CREATE VIRTUAL %'
                  AND substr(t.name, 1, length(v.name) + 1) = v.name || '_')
ORDER BY name
"""


def checkup(path: Path) -> Checkup:
    """See doctor.checkup."""
    with open_file(path) as connection:
        checks = (_version(), _analyzed(connection), _journal(connection, path), _foreign_keys(connection))
    return Checkup(str(path), f"SQLite {sqlite3.sqlite_version}", checks)


def _version() -> Check:
    return Check("server-version", Status.OK, f"SQLite {sqlite3.sqlite_version}, the library of this Python")


def _analyzed(connection: sqlite3.Connection) -> Check:
    name = "tables-analyzed"
    known: set[str] = set()
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
        known = {table for (table,) in connection.execute("SELECT DISTINCT tbl FROM sqlite_stat1")}
    missing = [table for table in _tables(connection) if table not in known and _has_rows(connection, table)]
    if not missing:
        return Check(name, Status.OK, "all tables with rows have statistics")
    more = f" and {len(missing) - _FIRST:,} more" if len(missing) > _FIRST else ""
    number = f"{len(missing):,} {'table' if len(missing) == 1 else 'tables'}"
    return Check(
        name,
        Status.WARNING,
        f"{number} never analyzed: {', '.join(missing[:_FIRST])}{more}",
        "without sqlite_stat1 the planner takes every table for a million rows and no index for better than"
        " another",
        "plans may use the wrong index, or join in the wrong order",
        ("ANALYZE;",),
    )


def _journal(connection: sqlite3.Connection, path: Path) -> Check:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if is_logged(path):  # which a connection that may not open the log does not tell
        mode = "wal"
    found = f"the journal mode is {mode}"
    if mode == "wal":
        return Check("journal-mode", Status.OK, found)
    return Check(
        "journal-mode",
        Status.INFO,
        found,
        "a writer waits for all readers and they for it; with a write-ahead log they do not",
        "",
        ("PRAGMA journal_mode = WAL;",),
    )


def _foreign_keys(connection: sqlite3.Connection) -> Check:
    name = "foreign-keys"
    declared = [
        table
        for table in _tables(connection)
        if connection.execute(f"PRAGMA foreign_key_list({_quoted(table)})").fetchone()
    ]
    if not declared:
        return Check(name, Status.OK, "no foreign key is declared")
    return Check(
        name,
        Status.INFO,
        f"{len(declared):,} {'table declares' if len(declared) == 1 else 'tables declare'} foreign keys",
        "SQLite enforces them only in a connection that asks for it, which a file cannot tell",
        "",
        ("-- in every connection of the application:", "PRAGMA foreign_keys = ON;"),
    )


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute(_TABLES)]


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {_quoted(table)} LIMIT 1").fetchone() is not None  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
