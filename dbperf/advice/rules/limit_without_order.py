"""DBP318 limit-without-order: LIMIT takes some of the rows, and nothing says which.

Without ORDER BY rows come as the plan finds them. That changes with an UPDATE, a VACUUM, a new index or a
parallel scan; in PostgreSQL a scan of a large table even starts where another is (`synchronize_seqscans`).
With OFFSET, pages then miss rows and repeat others. It is about what comes back, not about time, so it is
told of small tables too.

Write `ORDER BY` with a key that tells rows apart at its end: `ORDER BY created_at, id LIMIT 20`. In
SQLAlchemy `.order_by(Order.created_at, Order.id).limit(20)`. The order of a subquery or a CTE is not that
of what reads it.

It is silent where any rows will do, or no choice is made:

- LIMIT 0, and LIMIT 1 without an OFFSET, which is how `.first()` asks for the one row that there is; of a
  LIMIT that is a parameter, where no more than a row a call came, or nobody knows, unless there is an
  OFFSET (in SQLite also then: SQLAlchemy sends it one behind every LIMIT);
- subqueries of EXISTS, IN, ANY and ALL, statements that write (batches), row locks (queues), TABLESAMPLE,
  window functions, which sort;
- where a unique key is looked up, or all is aggregated: one row comes;
- what reads functions, subqueries or unions alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label, of_the_system, one_row, per_call, unique_keys
from dbperf.model.catalog import Table
from dbperf.model.facts import SelectFacts

CODE, SLUG = "DBP318", "limit-without-order"
_ANY_ROWS = frozenset({"exists", "not-exists", "in", "not-in", "any", "all"})
_SAMPLE = re.compile(r"\btablesample\b", re.IGNORECASE)


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each SELECT that takes the first rows of no order."""
    facts = reading.facts
    any_will_do = {each.scope for each in facts.subqueries if each.kind in _ANY_ROWS}
    if facts.kind != "select" or _SAMPLE.search(facts.sql):
        return
    for select in facts.selects:
        if (
            not select.tables
            or select.ordered
            or select.windows
            or select.locks
            or select.scope in any_will_do
        ):
            continue
        if (
            _chooses(reading, select)
            and not one_row(reading, select)
            and not all(map(of_the_system, select.tables))
        ):
            yield _finding(reading, select)


def _chooses(reading: Reading, select: SelectFacts) -> bool:
    """Whether some of several rows may be taken."""
    if not select.limit:
        return False
    if select.limit.number is not None:
        return select.limit.number > 1 or (select.limit.number == 1 and select.offset is not None)
    came = per_call(reading.statement) if select.scope == 0 else None
    # SQLAlchemy sends SQLite an OFFSET behind every LIMIT.
    paged = select.offset is not None and reading.statement.dialect != "sqlite"
    return paged or (came or 0) > 1


def _key(table: Table) -> tuple[str, ...]:
    """The narrowest columns that tell rows apart."""
    keys = [key for key in unique_keys(table) if all(name in table.columns for name in key)]
    width = {each.name: each.average_width for each in table.columns.values()}
    return min(keys, key=lambda key: (len(key), sum(width[name] for name in key)), default=())


def _finding(reading: Reading, select: SelectFacts) -> Finding:
    first = select.tables[0]
    table = reading.table(first)
    one = len(select.tables) == 1 and not select.grouped
    order = ", ".join(f"{label(first)}.{name}" for name in _key(table)) if table and one else ""
    return Finding(
        title="LIMIT without ORDER BY: which rows come is left to chance",
        why="they come as the plan finds them"
        + "; pages may miss rows and repeat others" * bool(select.offset),
        fix=f"ORDER BY {order or '…'} before LIMIT; in SQLAlchemy .order_by() before .limit()",
        tables=select.tables,
    )
