"""How many rows a table or a SELECT gives, as far as its text, the catalog and its calls tell."""

from __future__ import annotations

from dbperf.advice.reading import Reading
from dbperf.advice.subject import is_large
from dbperf.model.catalog import Index, Table
from dbperf.model.facts import Role, SelectFacts, TableRef
from dbperf.model.workload import Statement

FEW = 100
"""Rows below which the number of them does not matter."""
_ONE = frozenset({Role.EQUALITY})
_SOME = frozenset({Role.EQUALITY, Role.IN})


def label(ref: TableRef) -> str:
    """The name that a statement uses a table by."""
    return ref.alias or ref.name


def of_the_system(ref: TableRef) -> bool:
    """Whether a table is the database's own."""
    return ref.schema in {"pg_catalog", "information_schema"} or ref.name.startswith(("pg_", "sqlite_"))


def per_call(statement: Statement) -> float | None:
    """Rows that a call brought, or wrote; None for a statement that was given and not captured."""
    return statement.rows / statement.calls if statement.calls else None


def bound(
    reading: Reading, ref: TableRef | None, scope: int, roles: frozenset[Role] = _ONE
) -> frozenset[str]:
    """The columns of a table that a SELECT holds equal to one value each, or as `roles` say."""
    return frozenset(
        column.name
        for column in reading.facts.columns
        for use in column.uses
        if column.table == ref
        and (use.scope, use.conjunct, use.expression) == (scope, True, "")
        and use.role in roles
    )


def at_most_one(reading: Reading, ref: TableRef, scope: int) -> bool:
    """Whether a SELECT reads one row of a table: it holds a unique key. Of a table that is not known, a
    column `id` is one.
    """
    held = bound(reading, ref, scope)
    table = reading.table(ref)
    return any(held.issuperset(key) for key in (unique_keys(table) if table else [("id",)]))


def unique_keys(table: Table) -> list[tuple[str, ...]]:
    """The columns that no two rows have the same values in, NULL left aside."""
    return [each.keys for each in table.indexes if _tells_apart(each)]


def _tells_apart(index: Index) -> bool:
    return index.unique and index.valid and not index.predicate


def one_row(reading: Reading, select: SelectFacts) -> bool:
    """Whether a SELECT gives one row at most: it aggregates all, or reads one row of each of its tables."""
    if select.aggregates and not select.grouped:
        return True
    joined = sum(join.scope == select.scope for join in reading.facts.joins)
    return joined < len(select.tables) and all(
        at_most_one(reading, ref, select.scope) for ref in select.tables
    )


def many(reading: Reading, ref: TableRef, scope: int) -> bool:
    """Whether a SELECT reads more than a few rows of a table, as far as is known: it is large, and its rows
    are not looked up by keys. Without a catalog, any column that is compared to values may be a key.
    """
    held = bound(reading, ref, scope, _SOME)
    if table := reading.table(ref):
        looked_up = any(held.issuperset(key) for key in unique_keys(table))
        return is_large(table) and not looked_up and _expected(reading, ref, table, scope) >= FEW
    if reading.catalog or of_the_system(ref):
        return False
    return not (held or bound(reading, None, scope, _SOME))


def _expected(reading: Reading, ref: TableRef, table: Table, scope: int) -> float:
    """How many rows of a table have such values, if each is as frequent as the others."""
    rows = table.rows if table.rows > 0 else float("inf")
    for name in bound(reading, ref, scope):
        column = table.columns.get(name)
        if column and column.distribution:
            rows /= max(column.distribution.distinct, 1.0)
    return rows
