"""DBP306 deep-offset: OFFSET reads and throws away all rows before the page.

`OFFSET 100000 LIMIT 20` finds and sorts 100,020 rows to give 20. Each further page costs more than the one
before, and rows that come or go meanwhile are shown twice or never.

What to write instead: go on from the last row of the page before.

    WHERE (created_at, id) > (:last_created_at, :last_id) ORDER BY created_at, id LIMIT 20

in SQLAlchemy `.where(tuple_(Post.created_at, Post.id) > tuple_(last_created_at, last_id))`. An index on
these columns serves it. The last of them has to be unique, or rows are lost between pages; none may be NULL;
all have to go in one direction (`<` for DESC).

It tells of an OFFSET of 1,000 rows or more: written as a number, or the mean of captured values. Where it is
a parameter and no value was captured it is silent, and about small tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log10
from statistics import fmean

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import unique_keys
from dbperf.model.facts import Bound, ColumnFacts, ColumnRef, ColumnUse, Role, SelectFacts

CODE, SLUG = "DBP306", "deep-offset"
DEEP = 1000


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each SELECT that skips many rows."""
    for select in reading.facts.selects:
        skipped = _skipped(reading, select.offset) if select.offset else 0.0
        if skipped >= DEEP and not reading.small(select.tables):
            named = ", ".join(ref.name for ref in select.tables) or "the rows"
            yield Finding(
                title=f"{named}: {_about(skipped)} rows are read and thrown away by OFFSET",
                why="all rows before a page are found and sorted again for each page",
                fix=_fix(reading, select),
                tables=select.tables,
                assumed="" if reading.catalog else f"that {named} has so many rows",
                risk="pages can then be turned, but not chosen by number",
            )


def _about(rows: float) -> str:
    """An order of magnitude: what was captured is not shown."""
    return f"more than {10 ** int(log10(rows)):,}"


def _skipped(reading: Reading, offset: Bound) -> float:
    """How many rows an execution skips, as far as that is known."""
    if offset.number is not None or offset.parameter is None:
        return offset.number or 0.0
    at = offset.parameter - 1
    sent = [each.parameters[at] for each in reading.statement.samples if at < len(each.parameters)]
    return fmean(found) if (found := [value for value in sent if type(value) is int]) else 0.0


def _fix(reading: Reading, select: SelectFacts) -> str:
    terms = _ordered(reading, select)
    directions = {use.descending for _, use in terms}
    bare = not any(use.expression for _, use in terms)
    rows = not (select.grouped or select.distinct or select.aggregates)
    if len(terms) != len(select.ordered) or len(directions) != 1 or not (bare and rows):
        return "remember the last row of a page and ask for those after it, in an order that ends with a key"
    names = [column.name for column, _ in terms]
    sign, down = ("<", " DESC") if True in directions else (">", "")
    where = f"{_row(names)} {sign} {_row([f':last_{name}' for name in names])}"
    order = ", ".join(f"{name}{down}" for name in names)
    models, last = [f"Model.{name}" for name in names], [f"last_{name}" for name in names]
    fix = f"go on from the last row: WHERE {where} ORDER BY {order} LIMIT …"
    fix += f"; in SQLAlchemy .where({_tuple(models)} {sign} {_tuple(last)})"
    if not _unique(reading, select, names):
        fix += f"; unless no two rows share {', '.join(names)}, add a unique column after {names[-1]} in both"
    nullable = [column.name for column, _ in terms if _nullable(reading, column)]
    return fix + (f"; rows where {' or '.join(nullable)} is NULL are not found so" if nullable else "")


def _ordered(reading: Reading, select: SelectFacts) -> list[tuple[ColumnFacts, ColumnUse]]:
    """The columns of ORDER BY, in order; fewer than its terms where they cannot be told."""
    found = {
        use.position: (column, use)
        for column in reading.facts.columns
        for use in column.uses
        if use.role is Role.ORDER and use.scope == select.scope
    }
    return [found[place] for place in sorted(found)]


def _nullable(reading: Reading, column: ColumnFacts) -> bool:
    stored = reading.column(ColumnRef(column.table, column.name))
    return stored is not None and not stored.not_null


def _row(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _tuple(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"tuple_({', '.join(parts)})"


def _unique(reading: Reading, select: SelectFacts, columns: list[str]) -> bool:
    """Whether the order is known to leave no two rows in one place."""
    if len(select.tables) != 1:
        return False
    table = reading.table(select.tables[0])
    if table is None:
        return columns[-1] == "id"
    return any(set(key) <= set(columns) for key in unique_keys(table))
