"""DBP312 outer-join-made-inner: an outer join adds rows that a condition of WHERE then drops again.

`users LEFT JOIN orders ON orders.user_id = users.id WHERE orders.status = 'open'` keeps users without
orders at first, with NULL for what orders has; `NULL = 'open'` is not true, so WHERE drops them. What comes
back is what an inner join gives. One of the two is not what was meant:

- users without such orders are wanted: the condition belongs to ON, `LEFT JOIN orders ON orders.user_id =
  users.id AND orders.status = 'open'`; in SQLAlchemy `.outerjoin(Order, and_(Order.user_id == User.id,
  Order.status == "open"))`;
- they are not: write `JOIN`; in SQLAlchemy `.join(Order)` instead of `.outerjoin(Order)` or `isouter=True`.

PostgreSQL sees it and plans an inner join, so time is not what it costs there: rows that are missing are,
or a reader who believes that they come.

It is silent where a condition lets NULL pass (`orders.id IS NULL`, an OR with it, `coalesce()`), and about
aliases as `joinedload` makes them (`orders_1`): no condition of the application is about those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label

CODE, SLUG = "DBP312", "outer-join-made-inner"
_ANONYMOUS = re.compile(r".+_\d+")


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each outer join whose added rows are dropped."""
    for join in reading.facts.joins:
        name, condition = label(join.table), join.nullified_by
        if not condition or not name or (join.table.alias and _ANONYMOUS.fullmatch(join.table.alias)):
            continue
        kind = join.kind.upper()
        yield Finding(
            title=f"{kind} JOIN {name} keeps rows that WHERE {condition} drops again",
            why="rows without a match have NULL there, which the condition is not true for"
            + ("; PostgreSQL plans an inner join" if reading.statement.dialect == "postgresql" else ""),
            fix=_fix(kind, name, condition),
            tables=(join.table,) if join.table.name else (),
        )


def _fix(kind: str, name: str, condition: str) -> str:
    if kind == "FULL":
        return f"write the LEFT, RIGHT or inner JOIN that is left of it, or test {condition} before the join"
    inner = f"write JOIN {name}, in SQLAlchemy .join() for .outerjoin()"
    if condition.upper().endswith(("IS NULL", "IS NOT NULL")):
        return inner
    return (
        f"are rows without a match wanted, move the condition: {kind} JOIN {name} ON … AND {condition}; if "
        f"not, {inner}"
    )
