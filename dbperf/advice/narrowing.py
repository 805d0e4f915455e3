"""Whether an index already finds the few rows of a table that a statement is about."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from dbperf.advice.reading import Reading
from dbperf.model.catalog import Column, Index, Table
from dbperf.model.facts import Role, TableRef

FEW_ROWS = 1000
"""So many rows are read, and looked at one by one, in about a millisecond."""


def narrowed(reading: Reading, ref: TableRef | None, scope: int, besides: str = "") -> bool:
    """Whether conditions that an index serves leave so few rows that no other condition matters.

    A table is also narrowed by a join on what an index finds, from a table that is. What is asked of the
    column `besides` does not count. Without a catalog an equality on a column named `id` or `…_id` narrows,
    and tables of the system are taken for small.
    """
    return ref is not None and _narrowed(reading, ref, scope, besides, frozenset())


def one_row(reading: Reading, ref: TableRef, scope: int) -> bool:
    """Whether a statement asks a table for the row of a unique key; False also where that is not known."""
    table = reading.table(ref)
    equal = set(_equated(reading, ref, scope, frozenset([ref])))
    return table is not None and any(
        index.unique and not index.predicate and equal.issuperset(index.keys) for index in table.indexes
    )


def of_system(ref: TableRef) -> bool:
    """Whether a table is one of the database's own, which no application can change."""
    return ref.schema in {"pg_catalog", "information_schema"} or ref.name.startswith(("pg_", "sqlite_"))


def distinct(column: Column | None) -> float:
    """How many distinct values a column has, 1.0 where nobody knows."""
    known = column.distribution.distinct if column and column.distribution else 1.0
    return max(known, 1.0)


def _narrowed(reading: Reading, ref: TableRef, scope: int, besides: str, seen: frozenset[TableRef]) -> bool:
    table = reading.table(ref)
    equal = set(_equated(reading, ref, scope, seen | {ref})) - {besides}
    if table is None:
        return of_system(ref) or any(name == "id" or name.endswith("_id") for name in equal)
    return any(_rows(table, index, equal) <= FEW_ROWS for index in table.indexes)


def _equated(reading: Reading, ref: TableRef, scope: int, seen: frozenset[TableRef]) -> Iterator[str]:
    """The bare columns of a table that must equal a value, or a column of a narrowed table."""
    for column in reading.facts.columns:
        for use in column.uses if column.table == ref else ():
            if use.scope != scope or not use.conjunct or use.expression:
                continue
            if use.role in {Role.EQUALITY, Role.IN}:
                if use.parameter is not None or use.literal is not None:
                    yield column.name
            elif use.role is Role.JOIN:
                other = _named(reading, use.other)
                if other and other not in seen and _narrowed(reading, other, scope, "", seen):
                    yield column.name


def _named(reading: Reading, label: str) -> TableRef | None:
    alias = label.rpartition(".")[0]
    return next((ref for ref in reading.facts.tables if alias == (ref.alias or ref.name)), None)


def _rows(table: Table, index: Index, equal: set[str]) -> float:
    """About how many rows of a table an index finds by some of its columns."""
    if not index.valid or index.predicate or index.keys[0] not in equal:
        return inf
    if index.unique and equal.issuperset(index.keys):
        return 1.0
    return table.rows / max(distinct(table.columns.get(key)) for key in index.keys if key in equal)
