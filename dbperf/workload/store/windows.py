"""Windows, of statements and of run-time figures alike: written, added up, chosen by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, FromClause, Label, Select, Table, func, select

from dbperf.workload.store.counts import Counts, to_row
from dbperf.workload.store.rows import put
from dbperf.workload.store.tables import FAMILIES, SECONDS, Family

WindowKey = tuple[Family, int, int]
"""What counts are of, by its id, and when their window starts, seconds since 1970."""


def put_counts(
    connection: Connection, counts: Mapping[WindowKey, Counts], writer: int, newer: str = "", size: int = 0
) -> None:
    """Write the rows of a writer in windows of a minute, or the coarser ones at place `size`; see `put`."""
    for family in FAMILIES:
        rows = [
            {family.key: key, "starts": starts, "writer_id": writer, **to_row(each, family)}
            for (of, key, starts), each in counts.items()
            if of is family
        ]
        put(connection, family.windows[size], rows, newer)


def overlapping(window: Table, since: float | None, until: float | None) -> FromClause:
    """The rows whose time overlaps that from `since` to `until`, seconds since 1970."""
    query = select(window)
    if since is not None:
        query = query.where(window.c.starts + SECONDS[window] > since)
    if until is not None:
        query = query.where(window.c.starts < until)
    return query.subquery()


def totals(connection: Connection, family: Family, rows: FromClause, *by: Label[Any]) -> Select[Any]:
    """A query for all counts by what they are of, and `by` more; texts are joined."""
    columns = (*_numbers(family, rows), *_texts(connection, family, rows))
    key = rows.c[family.key]
    return select(key, *by, *columns).group_by(key, *(each.element for each in by))


def sums(family: Family, rows: FromClause) -> Select[Any]:
    """A query for the numbers among them."""
    key = rows.c[family.key]
    return select(key, *_numbers(family, rows)).group_by(key)


def joined(connection: Connection, family: Family, rows: FromClause) -> Select[Any]:
    """A query for the texts among them."""
    key = rows.c[family.key]
    return select(key, *_texts(connection, family, rows)).group_by(key)


def _numbers(family: Family, rows: FromClause) -> list[Label[Any]]:
    return [func.sum(rows.c[name]).label(name) for name in family.numbers]


def _texts(connection: Connection, family: Family, rows: FromClause) -> list[Label[Any]]:
    join = func.string_agg if connection.dialect.name == "postgresql" else func.group_concat
    return [join(rows.c[name], " ").label(name) for name in family.texts]
