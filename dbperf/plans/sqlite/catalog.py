"""Reads the catalog of a SQLite database: its schema table, PRAGMAs, sizes, and a sample of each table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Schema:
    """A copy, the definitions of what it holds, and sizes in bytes where SQLite tells them, by name."""

    copy: sqlite3.Connection
    definitions: Mapping[str, str]
    sizes: Mapping[str, int]

    def rows(self, pragma: str, name: str) -> list[sqlite3.Row]:
        return _pragma(self.copy, pragma, name)

    def spelled(self, name: str) -> str:
        return next((each for each in self.definitions if each.lower() == name.lower()), name)


def read_catalog(copy: sqlite3.Connection, database: str) -> Catalog:
    """The catalog of a copy; `database` is what it is called. Raises sqlite3.Error."""
    found = copy.execute(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    schema = _Schema(copy, {name: sql for _, name, sql in found}, _sizes(copy))
    tables = [
        _table(schema, name) if kind == "table" else _view(schema, name)
        for kind, name, _ in found
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
    try:
        return dict(copy.execute("SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE"))
    except sqlite3.OperationalError:  # built without this table
        return {}


def _view(schema: _Schema, name: str) -> Table:
    try:
        rows = schema.rows("table_xinfo", name)
    except sqlite3.OperationalError:  # it selects from what is gone, or calls what the application defines
        rows = []
    return Table("", name, "v", 0, 0, 0, {row["name"]: Column(row["name"], row["type"]) for row in rows})


def _table(schema: _Schema, name: str) -> Table:
    if schema.definitions[name][:15].upper() == "CREATE VIRTUAL ":  # its indexes are its module's own
        return Table("", name, "f", 0, 0, 0)
    try:
        return _readable_table(schema, name)
    except sqlite3.OperationalError:  # it needs a function or collation that the application defines
        size = schema.sizes.get(name, 0)
        return Table("", name, "r", -1, size, -(-size // _PAGE), readable=False)


def _readable_table(schema: _Schema, name: str) -> Table:
    copy, sql = schema.copy, schema.definitions[name]
    info = schema.rows("table_xinfo", name)
    names = [row["name"] for row in info]
    rows: int = copy.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608
    has_rowid = not _WITHOUT_ROWID.search(sql[sql.rfind(")") :])
    taken = {each.lower() for each in names}
    rowid = next((each for each in ("rowid", "_rowid_", "oid") if each not in taken), "") if has_rowid else ""
    columns = _columns(sample(copy, name, names, rowid), info, rows, _collations(sql, name, names))
    indexes = _indexes(schema, name, columns)
    size = schema.sizes.get(
        name, rows * (_ENTRY_BYTES + sum(each.average_width for each in columns.values()))
    )
    return Table(
        schema="",
        name=name,
        kind="r",
        rows=rows,
        size_bytes=size,
        pages=-(-size // _PAGE),
        columns=columns,
        indexes=tuple(_rowid(info, indexes) if has_rowid else indexes),
        foreign_keys=_foreign_keys(schema, name),
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


def _indexes(schema: _Schema, table: str, columns: Mapping[str, Column]) -> list[Index]:
    found = []
    for row in schema.rows("index_list", table):
        keys = [key for key in schema.rows("index_xinfo", row["name"]) if key["key"]]
        predicate = _PREDICATE.search(schema.definitions.get(row["name"], ""))
        usual = all(key["name"] and key["coll"] == columns[key["name"]].collation for key in keys)
        index = Index(
            name=row["name"],
            keys=tuple(key["name"] or "(expression)" for key in keys),
            unique=bool(row["unique"]),
            predicate=predicate[1].strip() if row["partial"] and predicate else "",
            constraint=_CONSTRAINTS.get(row["origin"], ""),
            descending=tuple(bool(key["desc"]) for key in keys),
            plain=usual and not row["partial"],
            size_bytes=schema.sizes.get(row["name"], 0),
        )
        found.append(index)
    return found


def _foreign_keys(schema: _Schema, table: str) -> tuple[ForeignKey, ...]:
    rows = schema.rows("foreign_key_list", table)
    keys = []
    for number in dict.fromkeys(row["id"] for row in rows):
        parts = [row for row in rows if row["id"] == number]
        keys.append(
            ForeignKey(
                name="",
                columns=tuple(row["from"] for row in parts),
                target=schema.spelled(parts[0]["table"]),
                target_columns=tuple(row["to"] or "" for row in parts),
            )
        )
    return tuple(keys)


def _pragma(connection: sqlite3.Connection, name: str, argument: str) -> list[sqlite3.Row]:
    escaped = argument.replace('"', '""')
    cursor = connection.execute(f'PRAGMA {name}("{escaped}")')
    cursor.row_factory = sqlite3.Row
    return cursor.fetchall()
