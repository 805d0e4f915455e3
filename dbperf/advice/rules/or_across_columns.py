"""DBP304 or-across-columns: no index can serve an OR as a whole.

*Columns of two tables*: `WHERE u.email = :x OR o.number = :x`. Neither table can be narrowed before they are
joined: all of both is joined, and then looked at. Write two queries, each with its own indexes:

    SELECT … FROM users u JOIN orders o ON … WHERE u.email = :x
    UNION
    SELECT … FROM users u JOIN orders o ON … WHERE o.number = :x

in SQLAlchemy `union(query.where(User.email == x), query.where(Order.number == x))`. UNION drops rows that
are alike, so select a key of each table; or use UNION ALL, and leave out of the second what the first has.
It is silent where the rows are grouped, counted, locked or written: that is another query then.

*Columns of one table, of which one has no index*: the indexes on the others are of no use, for the rows of
that one have to be looked for in the whole table. Give it an index; PostgreSQL and SQLite join the rows that
the indexes find.

Only alternatives that each ask for a value are judged (`=`, IN), of columns that have many. It is silent
where each of one table's columns begins an index, on small tables, and where another condition finds the few
rows. One table is judged only where the catalog is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from dbperf.advice.expressions import expression
from dbperf.advice.narrowing import distinct, narrowed
from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label
from dbperf.model.facts import ColumnRef, FilterFacts, TableRef
from dbperf.statements.scopes import folded

CODE, SLUG = "DBP304", "or-across-columns"
_VALUES = 100
"""A column of fewer distinct values leaves so many rows that they are looked at anyway."""

Branch = tuple[ColumnRef, ...]
"""The columns of an alternative that must equal a value."""


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each OR whose alternatives ask for values, and that no index serves."""
    for each in reading.facts.filters:
        if each.operator == "or" and each.clause == "where" and not each.aggregate:
            branches = list(_branches(reading, each))
            refs = list(dict.fromkeys(ref for ref in (column.table for column in each.of) if ref))
            if not branches or not all(branches) or _unimportant(reading, refs, each.scope):
                continue
            tables = [{column.table for column in branch} for branch in branches]
            if len(refs) > 1 and not set.intersection(*tables) and _divides(reading, each.scope):
                yield _across(reading, each, refs)
            elif len(refs) == 1 and (bare := _unindexed(reading, branches)):
                yield _within(each, refs[0], bare)


def _branches(reading: Reading, condition: FilterFacts) -> Iterator[Branch]:
    """Of each alternative the columns that it asks a value of; an empty one where it asks none."""
    tree = expression(condition.sql, reading.statement.dialect)
    for each in tree.flatten() if isinstance(tree, exp.Or) else ():
        parts = each.unnest().flatten() if isinstance(each.unnest(), exp.And) else [each.unnest()]
        asked = [_asked(condition, part.unnest()) for part in parts]
        yield tuple(column for column in asked if column and _selective(reading, column))


def _asked(condition: FilterFacts, part: exp.Expr) -> ColumnRef | None:
    if not isinstance(part, exp.EQ | exp.In) or len(list(part.find_all(exp.Column))) != 1:
        return None
    column = next((side for side in (part.this, part.expression) if isinstance(side, exp.Column)), None)
    if column is None or part.find(exp.Query, exp.Boolean):
        return None
    name, qualifier = folded(column.this), folded(column.args.get("table"))
    matching = [
        ref
        for ref in condition.of
        if ref.name == name and ref.table and (not qualifier or qualifier == label(ref.table))
    ]
    return matching[0] if len(matching) == 1 else None


def _selective(reading: Reading, ref: ColumnRef) -> bool:
    column = reading.column(ref)
    return column is None or column.distribution is None or distinct(column) >= _VALUES


def _unimportant(reading: Reading, refs: list[TableRef], scope: int) -> bool:
    return not refs or reading.small(refs) or any(narrowed(reading, ref, scope) for ref in refs)


def _divides(reading: Reading, scope: int) -> bool:
    """Whether two queries joined by UNION give the same rows: of a UNION nothing is grouped, counted, locked
    or written.
    """
    select = reading.facts.selects[scope]
    whole = select.grouped or select.aggregates or select.windows or select.locks
    inner = all(join.kind == "inner" for join in reading.facts.joins if join.scope == scope)
    return inner and not whole and reading.facts.kind == "select"


def _unindexed(reading: Reading, branches: Iterable[Branch]) -> list[ColumnRef]:
    """The columns of alternatives without an index, where others have one."""
    bare = [branch for branch in branches if not any(map(reading.indexed, branch))]
    some = len(bare) < len(list(branches))
    known = all(reading.column(column) is not None for branch in bare for column in branch)
    return list(dict.fromkeys(branch[0] for branch in bare)) if some and known else []


def _across(reading: Reading, condition: FilterFacts, refs: list[TableRef]) -> Finding:
    named = " and ".join(ref.name for ref in refs)
    return Finding(
        title=f"{condition.sql}: no index serves an OR over columns of {named}",
        why=f"all of {named} is joined before the condition is judged",
        fix="two queries, one for each side of the OR, joined by UNION; in SQLAlchemy "
        "union(query.where(…), query.where(…)). It drops rows that are alike: select a key of each table; "
        "ORDER BY and LIMIT go behind the UNION",
        tables=tuple(refs),
        assumed="" if reading.catalog else f"that {named} are large, and few of their rows match",
    )


def _within(condition: FilterFacts, ref: TableRef, bare: list[ColumnRef]) -> Finding:
    names = ", ".join(column.name for column in bare)
    return Finding(
        title=f"{ref.name}: {condition.sql} reads the whole table, for {names} has no index",
        why=f"an OR is served by indexes only where each of its sides is; {names} is not",
        fix=f"an index on {names}; in SQLAlchemy mapped_column(index=True)",
        tables=(ref,),
        key=f"{ref.name}.{names}",
    )
