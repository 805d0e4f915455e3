"""DBP305 not-in-nullable: NOT IN finds no row at all once the subquery puts out a NULL.

`id NOT IN (SELECT manager_id FROM staff)`: with one NULL among them, `id <> NULL` is unknown for every row,
and none is found. It is also slow: for the same reason the planner cannot make an anti-join of it.

What to write instead:

    WHERE NOT EXISTS (SELECT 1 FROM staff s WHERE s.manager_id = e.id)

in SQLAlchemy `~select(Staff).where(Staff.manager_id == Employee.id).exists()`, or `~Employee.staff.any()`
over a relationship. With NOT IN kept, add `WHERE manager_id IS NOT NULL` to the subquery.

It is about results, so it is told for small tables too. It is silent where the column is declared NOT NULL
(and no outer join adds NULLs), and where a condition of the subquery leaves no NULL. Without a catalog a
column named `id` is taken for NOT NULL, and every other one for nullable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label, of_the_system
from dbperf.model.facts import ColumnRef, Role, SubqueryFacts, TableRef
from dbperf.plans.sqlite.catalog import ROWID

CODE, SLUG = "DBP305", "not-in-nullable"
_NOT_NULL = {
    Role.EQUALITY,
    Role.IN,
    Role.RANGE,
    Role.JOIN,
    Role.LIKE_PREFIX,
    Role.LIKE_SUFFIX,
    Role.LIKE_INFIX,
    Role.LIKE,
}
"""What only a value that is not NULL does."""


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each NOT IN over a column that may be NULL."""
    for each in reading.facts.subqueries:
        # Of rows only those whose other columns are equal are unknown.
        if each.kind == "not-in" and len(each.output) == 1 and not each.compared.startswith("("):
            column = each.output[0]
            if column.table and _nullable(reading, column, column.table, each.scope):
                yield _finding(reading, column.name, column.table, each)


def _nullable(reading: Reading, column: ColumnRef, ref: TableRef, scope: int) -> bool:
    table, stored = reading.table(ref), reading.column(column)
    if of_the_system(ref) or (reading.catalog and (table is None or table.kind == "v" or stored is None)):
        return False
    if _outer(reading, ref, scope):
        return True
    if table is None or stored is None:
        declared = column.name == "id"
    else:
        rowid = any(index.constraint == ROWID and index.keys == (column.name,) for index in table.indexes)
        declared = stored.not_null or rowid
    return not declared and not _required(reading, column, scope)


def _required(reading: Reading, column: ColumnRef, scope: int) -> bool:
    """Whether the subquery itself leaves no row where the column is NULL."""
    tested = any(
        each.scope == scope and each.operator == "is not null" and column in each.of
        for each in reading.facts.filters
    )
    return tested or any(
        use.scope == scope and use.conjunct and use.role in _NOT_NULL and not use.expression
        for each in reading.facts.columns
        for use in each.uses
        if (each.table, each.name) == (column.table, column.name)
    )


def _outer(reading: Reading, ref: TableRef, scope: int) -> bool:
    """Whether an outer join may add rows without the column's table."""
    joins = [join for join in reading.facts.joins if join.scope == scope and not join.nullified_by]
    return any(
        join.kind == "full"
        or (join.kind == "left" and join.table == ref)
        or (join.kind == "right" and join.table != ref)
        for join in joins
    )


def _finding(reading: Reading, column: str, ref: TableRef, subquery: SubqueryFacts) -> Finding:
    outer = _qualified(reading, subquery)
    alias = label(ref)
    if outer.startswith(f"{alias}."):  # within the subquery it would mean the subquery's own
        alias = f"{alias}_2"
    source = ref.name if alias == ref.name else f"{ref.name} {alias}"
    return Finding(
        title=f"NOT IN over {ref.name}.{column} finds no row once one of them is NULL",
        why="a comparison with NULL is unknown, so no row passes; nor can it be planned as an anti-join",
        fix=f"NOT EXISTS (SELECT 1 FROM {source} WHERE {alias}.{column} = {outer} …); in "  # noqa: S608
        f"SQLAlchemy ~select(Model).where(Model.{column} == …).exists()",
        tables=(ref,),
        assumed="" if reading.catalog else f"that {ref.name}.{column} may be NULL",
        risk="rows come back that NOT IN dropped for a NULL",
    )


def _qualified(reading: Reading, subquery: SubqueryFacts) -> str:
    """What is compared, as a subquery can name it; "…" where that is not known."""
    if re.fullmatch(r"\w+\.\w+", subquery.compared):
        return subquery.compared
    tables = [ref for each in reading.facts.selects if each.scope == subquery.within for ref in each.tables]
    if len(tables) != 1 or not re.fullmatch(r"[^\W\d]\w*", subquery.compared):
        return "…"
    return f"{label(tables[0])}.{subquery.compared}"
