"""Whether an index already finds the few rows of a table that a statement is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from dbperf.advice.reading import Reading
from dbperf.advice.rows import label, of_the_system
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
    if ref is None:
        return False
    return _is_narrowed(reading, ref, _equated(reading, ref, scope) - {besides})


def distinct(column: Column | None) -> float:
    """How many distinct values a column has, 1.0 where nobody knows."""
    known = column.distribution.distinct if column and column.distribution else 1.0
    return max(known, 1.0)


def _is_narrowed(reading: Reading, ref: TableRef, equal: set[str]) -> bool:
    """Whether few rows of a table have given values in the columns `equal`."""
    table = reading.table(ref)
    if table is None:
        return of_the_system(ref) or any(name == "id" or name.endswith("_id") for name in equal)
    return any(_rows(table, index, equal) <= FEW_ROWS for index in table.indexes)


def _equated(reading: Reading, ref: TableRef, scope: int) -> set[str]:
    """The bare columns of a table that must equal a value, or a column of a table narrowed without it."""
    equal: dict[TableRef, set[str]] = defaultdict(set, {each: set() for each in (ref, *reading.facts.tables)})
    joined: dict[TableRef, list[tuple[TableRef, str]]] = defaultdict(list)
    for table, name, other in _conditions(reading, scope):
        if other is None:
            equal[table].add(name)
        else:
            joined[other].append((table, name))
    found = {each for each in equal if each != ref and _is_narrowed(reading, each, equal[each])}
    news = list(found)
    while news:
        for table, name in joined[news.pop()]:
            equal[table].add(name)
            if table != ref and table not in found and _is_narrowed(reading, table, equal[table]):
                found.add(table)
                news.append(table)
    return equal[ref]


def _conditions(reading: Reading, scope: int) -> Iterator[tuple[TableRef, str, TableRef | None]]:
    """Each bare column that must equal something, and the table of a column that is; None for a value."""
    named = {label(ref): ref for ref in reversed(reading.facts.tables)}
    for column in reading.facts.columns:
        for use in column.uses:
            if column.table is None or use.scope != scope or not use.conjunct or use.expression:
                continue
            if use.role in {Role.EQUALITY, Role.IN}:
                if use.parameter is not None or use.literal is not None:
                    yield column.table, column.name, None
            elif use.role is Role.JOIN and (other := named.get(use.other.rpartition(".")[0])):
                yield column.table, column.name, other


def _rows(table: Table, index: Index, equal: set[str]) -> float:
    """About how many rows of a table an index finds by some of its columns."""
    if not index.valid or index.predicate or index.keys[0] not in equal:
        return inf
    if index.unique and equal.issuperset(index.keys):
        return 1.0
    return table.rows / max(distinct(table.columns.get(key)) for key in index.keys if key in equal)
