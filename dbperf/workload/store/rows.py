"""Rows into a store, many in a statement; one that is there already is kept, or replaced by a later state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

Row = dict[str, Any]


def insert(dialect: str, table: Table) -> Any:
    """An INSERT that takes ON CONFLICT."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


def keep(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert the rows that are not there."""
    _many(connection, table, _keeping(connection.dialect.name, table), rows)


def put(connection: Connection, table: Table, rows: Sequence[Row], newer: str = "") -> None:
    """Insert rows or overwrite those with the same key; where `newer` is given, only if that column grows."""
    _many(connection, table, _replacing(connection.dialect.name, table, newer), rows)


@cache  # the same ones every second, and it takes long to make one
def _keeping(dialect: str, table: Table) -> Any:
    return _insert_many(dialect, table).on_conflict_do_nothing()


@cache
def _replacing(dialect: str, table: Table, newer: str) -> Any:
    statement = _insert_many(dialect, table)
    new = statement.excluded
    rest = {each.name: new[each.name] for each in table.columns if not each.primary_key}
    where = new[newer] > table.c[newer] if newer else None
    keys = [each.name for each in table.primary_key]
    return statement.on_conflict_do_update(index_elements=keys, set_=rest, where=where)


def _insert_many(dialect: str, table: Table) -> Any:
    """An INSERT for `_many`: of as many rows as the arrays bound to the columns have elements."""
    if dialect != "postgresql":
        return insert(dialect, table)
    arrays = [bindparam(each.name, type_=postgresql.ARRAY(each.type)) for each in table.columns]
    return insert(dialect, table).from_select(list(table.columns), select(*map(func.unnest, arrays)))


def _many(connection: Connection, table: Table, statement: Any, rows: Sequence[Row]) -> None:
    # In the order of their keys: two writers that wait for each other's rows would wait for ever.
    keys = [each.name for each in table.primary_key]
    ordered = sorted(rows, key=lambda row: [row[key] for key in keys])
    if not ordered:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(statement, ordered)
        return
    # One statement, always the same, however many rows: an array for each column.
    connection.execute(statement, {name: [row[name] for row in ordered] for name in ordered[0]})
