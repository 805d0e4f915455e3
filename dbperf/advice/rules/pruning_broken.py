"""DBP320 pruning-broken: all partitions of a table are read, though the statement asks for a few.

PostgreSQL leaves out partitions by conditions on the bare partition key. A function or a cast around the
key, or an OR with a condition on something else, hides it: `WHERE date(at) = '2024-05-01'` reads every
partition, and a key compared to another type (`id = 4.0` of an integer) does the same where partitions are
made by hash.

What to write instead: the bare key in a range, `at >= '2024-05-01' AND at < '2024-05-02'`; of an OR, two
SELECTs by UNION ALL, the second without the rows of the first. In SQLAlchemy `Event.at >= day, Event.at <
day + timedelta(days=1)` instead of `func.date(Event.at) == day`.

It is told as well where a statement looks for something else alone (`WHERE user_id = $1`) in a table of 10
partitions or more, for then each is searched: a condition on the key helps, where the application knows
when.

It needs a database. It is silent where another condition, or a join, is about the bare key; about keys that
are expressions; about casts that change nothing; and where partitions are small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label
from dbperf.advice.subject import SMALL_PAGES
from dbperf.model.catalog import Column, Table
from dbperf.model.facts import ColumnRef, ColumnUse, FilterFacts, Role, TableRef

CODE, SLUG = "DBP320", "pruning-broken"
MANY = 10
"""Partitions from which on it is told that a statement without a condition on the key searches all."""
_POINT = frozenset({Role.EQUALITY, Role.IN, Role.IS_NULL, Role.JOIN})
_SEARCHED = frozenset({Role.EQUALITY, Role.IN})
_CAST = re.compile(r"cast\(.* as (.*)\)", re.IGNORECASE)
_TEXT = frozenset({"text", "varchar", "character varying"})
_WHOLE = frozenset({"smallint", "integer", "bigint"})
_FRACTIONAL = frozenset({"numeric", "decimal", "double precision", "double", "float", "real"})
_HIDDEN = frozenset(f"{each} on the column" for each in ("function", "type cast", "expression"))


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each partitioned table that is read whole: its key is hidden, or not asked for."""
    if reading.catalog is None or reading.facts.kind not in {"select", "update", "delete"}:
        return
    for select in reading.facts.selects:
        for ref in select.tables:
            table = reading.table(ref)
            if table and table.partition_key and table.partition_key[0] in table.columns:
                yield from _judge(reading, ref, table, select.scope)


def _judge(reading: Reading, ref: TableRef, table: Table, scope: int) -> Iterator[Finding]:
    """The first part of the key is judged: without it, a range is not found by the others."""
    partitions = _partitions(reading, table)
    if len(partitions) < 2 or sum(each.pages for each in partitions) <= SMALL_PAGES:
        return
    column = table.columns[table.partition_key[0]]
    uses = _uses(reading, ref, column.name, scope)
    about = [
        each
        for each in reading.facts.filters
        if each.scope == scope and ColumnRef(ref, column.name) in each.of and each.clause == "where"
    ]
    hiding = next((each for each in about if _hides(each, uses, table, column)), None)
    if hiding and len(about) == 1 and not any(_prunes(use, hiding, table, column) for use in uses):
        around = [use.expression for use in uses if use.expression and use.expression in hiding.sql]
        yield _hidden(ref, table, hiding, around[0] if around else hiding.sql, len(partitions))
    elif not about and len(partitions) >= MANY and not _compared(uses) and _searches(reading, ref, scope):
        yield _unasked(ref, table, len(partitions))


def _partitions(reading: Reading, root: Table) -> list[Table]:
    tables = reading.catalog.tables.values() if reading.catalog else ()
    return [each for each in tables if each.partition_of == root.qualified and each.kind != "p"]


def _uses(reading: Reading, ref: TableRef, name: str, scope: int) -> list[ColumnUse]:
    found = [each.uses for each in reading.facts.columns if (each.table, each.name) == (ref, name)]
    return [use for uses in found for use in uses if use.scope == scope]


def _hides(condition: FilterFacts, uses: list[ColumnUse], table: Table, column: Column) -> bool:
    """Whether a condition is about the key, and the planner cannot tell partitions by it."""
    if condition.operator == "or":
        return _an_arm_without_it(condition, uses)
    if condition.why_not in _HIDDEN:
        return not any(_keeps_it(use.expression, column) for use in uses if use.expression)
    return _of_another_type(condition, table, column)


def _an_arm_without_it(condition: FilterFacts, uses: list[ColumnUse]) -> bool:
    """Whether a part of a plain OR says nothing of the key; each part is then one comparison."""
    text = condition.sql.upper()
    arms = text.count(" OR ") + 1
    plain = " AND " not in text and "(SELECT" not in text
    return plain and sum(not use.conjunct for use in uses) < arms


def _keeps_it(expression: str, column: Column) -> bool:
    """Whether it is a cast that the planner sees through: to the same type, or among texts."""
    found = _CAST.fullmatch(expression)
    target, own = found.group(1).lower() if found else "", column.type.partition("(")[0]
    return target in {own, column.type} or {target, own} <= _TEXT or (target, own) in _SAME


_SAME = {
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
    ("int", "integer"),
}


def _of_another_type(condition: FilterFacts, table: Table, column: Column) -> bool:
    value = condition.value_type.lower().partition("(")[0]
    return table.partition_strategy == "hash" and column.type in _WHOLE and value in _FRACTIONAL


def _prunes(use: ColumnUse, hiding: FilterFacts, table: Table, column: Column) -> bool:
    """Whether another use of the bare key does tell partitions."""
    if use.role is Role.JOIN:
        return True
    bare = use.conjunct and not use.expression and not _of_another_type(hiding, table, column)
    return bare and use.role in (_POINT if table.partition_strategy == "hash" else _POINT | {Role.RANGE})


def _compared(uses: list[ColumnUse]) -> bool:
    """Whether a condition of any kind is about the key; one that only shows, sorts or groups by it is not."""
    shown = {Role.SELECTED, Role.ORDER, Role.GROUP, Role.DISTINCT, Role.WINDOW, Role.WRITTEN}
    return any(use.role not in shown for use in uses)


def _searches(reading: Reading, ref: TableRef, scope: int) -> bool:
    """Whether the statement looks for some rows of the table by another column."""
    return any(
        column.table == ref and use.scope == scope and use.conjunct and use.role in _SEARCHED
        for column in reading.facts.columns
        for use in column.uses
    )


def _hidden(ref: TableRef, table: Table, condition: FilterFacts, what: str, count: int) -> Finding:
    """`what` hides the key, in any condition."""
    key = table.partition_key[0]
    bare = f"{label(ref)}.{key}"
    if condition.operator == "or":
        fix = f"two SELECTs by UNION ALL: one with the condition on {bare}, one with the other and not this"
    elif condition.why_not in _HIDDEN and table.partition_strategy == "range":
        fix = f"compare the bare column: {bare} >= … AND {bare} < …; in SQLAlchemy without func or cast on it"
    elif condition.why_not in _HIDDEN:
        fix = f"compare the bare column: {bare} = …; in SQLAlchemy without func or cast on it"
    else:
        fix = f"compare {bare} with a value of its type, {table.columns[key].type}"
    return Finding(
        title=f"{table.name}: all {count} partitions are read, for {condition.sql} hides the partition key",
        why=f"partitions are told by the bare {key} ({table.partition_strategy})",
        fix=fix,
        tables=(ref,),
        key=f"{table.qualified}: {what.replace(f'{label(ref)}.', '')}",
    )


def _unasked(ref: TableRef, table: Table, count: int) -> Finding:
    key = table.partition_key[0]
    return Finding(
        title=f"{table.name} is searched in all {count} partitions: no condition is about {key}",
        why=f"partitions are told by {key} ({table.partition_strategy}); each is planned and searched",
        fix=f"add a condition on {label(ref)}.{key} where the application knows it",
        tables=(ref,),
    )
