"""Reads the catalog of a SQLite database: its schema table, PRAGMAs, sizes, and a sample of each table."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from dbperf.model.catalog import Catalog, Column, ForeignKey, Index, Table
from dbperf.model.index import quoted
from dbperf.plans.sqlite.samples import average_width, distribution, sample

ROWID = "INTEGER PRIMARY KEY"
"""The name, in plans and here, of the table itself, which is ordered by it."""

_PAGE = 8192
_ENTRY_BYTES = 6
"""What a row takes beside its values, where SQLite cannot tell sizes."""
_WITHOUT_ROWID = re.compile(r"\bWITHOUT\s+ROWID\b", re.IGNORECASE)
_PREDICATE = re.compile(r"\)\s*WHERE\s+(.*)", re.IGNORECASE | re.DOTALL)


def read_catalog(copy: sqlite3.Connection, database: str) -> Catalog:
    """The catalog of a copy; `database` is what it is called. Raises sqlite3.Error."""
    schema = copy.execute(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    definitions = {name: sql for kind, name, sql in schema if kind == "index"}
    sizes = _sizes(copy)
    tables = [
        _table(copy, name, sql, definitions, sizes) if kind == "table" else _view(copy, name)
        for kind, name, sql in schema
        if kind in {"table", "view"}
    ]
    major, minor, patch = sqlite3.sqlite_version_info
    return Catalog(
        tables={each.qualified: each for each in tables},
        search_path=("",),
        server_version=f"SQLite {sqlite3.sqlite_version}",
        server_version_num=major * 1_000_000 + minor * 1_000 + patch,
        database=database,
        known_functions=frozenset(row[0] for row in copy.execute("PRAGMA function_list")),
        dialect="sqlite",
    )


def _sizes(copy: sqlite3.Connection) -> Mapping[str, int]:
    """Bytes of tables and indexes by name; empty where SQLite was built without its dbstat table."""
    try:
        return dict(copy.execute("SELECT name, pgsize FROM dbstat WHERE aggregate"))
    except sqlite3.OperationalError:
        return {}


def _view(copy: sqlite3.Connection, name: str) -> Table:
    try:
        rows = _pragma(copy, "table_xinfo", name)
    except sqlite3.OperationalError:  # it selects from what is gone, or calls what the application defines
        rows = []
    columns = {row["name"]: Column(row["name"], row["type"]) for row in rows}
    return Table("", name, "v", 0, 0, 0, columns)


def _table(
    copy: sqlite3.Connection, name: str, sql: str, definitions: Mapping[str, str], sizes: Mapping[str, int]
) -> Table:
    if sql[:15].upper() == "CREATE VIRTUAL ":  # its module may be missing here, and its indexes are its own
        return Table("", name, "f", 0, 0, 0)
    info = _pragma(copy, "table_xinfo", name)
    names = [row["name"] for row in info]
    rows: int = copy.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608
    has_rowid = not _WITHOUT_ROWID.search(sql[sql.rfind(")") :])
    taken = {each.lower() for each in names}
    rowid = next((each for each in ("rowid", "_rowid_", "oid") if each not in taken), "") if has_rowid else ""
    columns = _columns(sample(copy, name, names, rowid), info, rows, _collations(sql, name, names))
    indexes = _indexes(copy, name, columns, definitions, sizes)
    size = sizes.get(name, rows * (_ENTRY_BYTES + sum(each.average_width for each in columns.values())))
    return Table(
        schema="",
        name=name,
        kind="r",
        rows=rows,
        size_bytes=size,
        pages=-(-size // _PAGE),
        columns=columns,
        indexes=tuple(_rowid(info, indexes) if has_rowid else indexes),
        foreign_keys=_foreign_keys(copy, name),
    )


def _columns(
    rows: list[Any], info: list[sqlite3.Row], count: float, collations: Mapping[str, str]
) -> dict[str, Column]:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(info)
    return {
        row["name"]: Column(
            name=row["name"],
            type=row["type"],
            not_null=bool(row["notnull"]),
            average_width=average_width(found),
            collation=collations.get(row["name"], "BINARY"),
            distribution=distribution(found, count),
        )
        for row, found in zip(info, values, strict=True)
    }


def _collations(sql: str, table: str, columns: list[str]) -> dict[str, str]:
    """The collation of each column, from an index over all of them on an empty table made alike."""
    keys = ", ".join(quoted(each) for each in columns)
    try:
        with closing(sqlite3.connect(":memory:")) as empty:
            empty.execute(sql)
            empty.execute(f"CREATE INDEX dbperf ON {quoted(table)} ({keys})")
            rows = _pragma(empty, "index_xinfo", "dbperf")
            return {row["name"]: row["coll"] for row in rows if row["key"]}
    except sqlite3.Error:  # a function or collation that the application defines
        return {}


def _rowid(info: list[sqlite3.Row], indexes: list[Index]) -> list[Index]:
    """`indexes` with the primary key that is the rowid, and so the order of the table itself."""
    keys = [row["name"] for row in info if row["pk"] and row["type"].upper() == "INTEGER"]
    if len(keys) != sum(row["pk"] > 0 for row in info) or len(keys) != 1:
        return indexes
    if any(index.constraint == _CONSTRAINTS["pk"] for index in indexes):  # INTEGER PRIMARY KEY DESC is none
        return indexes
    return [Index(ROWID, tuple(keys), unique=True, constraint=ROWID, descending=(False,)), *indexes]


_CONSTRAINTS = {"pk": "PRIMARY KEY", "u": "UNIQUE"}


def _indexes(
    copy: sqlite3.Connection,
    table: str,
    columns: Mapping[str, Column],
    definitions: Mapping[str, str],
    sizes: Mapping[str, int],
) -> list[Index]:
    found = []
    for row in _pragma(copy, "index_list", table):
        keys = [key for key in _pragma(copy, "index_xinfo", row["name"]) if key["key"]]
        predicate = _PREDICATE.search(definitions.get(row["name"], ""))
        usual = all(key["name"] and key["coll"] == columns[key["name"]].collation for key in keys)
        index = Index(
            name=row["name"],
            keys=tuple(key["name"] or "(expression)" for key in keys),
            unique=bool(row["unique"]),
            predicate=predicate[1].strip() if row["partial"] and predicate else "",
            constraint=_CONSTRAINTS.get(row["origin"], ""),
            descending=tuple(bool(key["desc"]) for key in keys),
            plain=usual and not row["partial"],
            size_bytes=sizes.get(row["name"], 0),
        )
        found.append(index)
    return found


def _foreign_keys(copy: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    rows = _pragma(copy, "foreign_key_list", table)
    parts = Counter(row["id"] for row in rows)
    return tuple(
        ForeignKey(
            name="",
            columns=tuple(row["from"] for row in rows if row["id"] == number),
            target=next(row["table"] for row in rows if row["id"] == number),
            target_columns=tuple(row["to"] or "" for row in rows if row["id"] == number),
        )
        for number in sorted(parts)
    )


def _pragma(connection: sqlite3.Connection, name: str, argument: str) -> list[sqlite3.Row]:
    escaped = argument.replace('"', '""')
    cursor = connection.execute(f'PRAGMA {name}("{escaped}")')
    cursor.row_factory = sqlite3.Row
    return cursor.fetchall()
