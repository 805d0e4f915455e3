"""DBP315 correlated-subquery: a subquery that gives one value is run again for each row around it.

    SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u

PostgreSQL makes joins of EXISTS and IN, but not of such a value: its plan has a SubPlan, run for every
user, with no memory of what it found before. With an index each run is short, yet there are as many as
rows; without one, each reads the whole table.

What to write instead:

- what is counted or summed per row, once for all: `LEFT JOIN (SELECT user_id, count(*) AS n FROM orders
  GROUP BY user_id) o ON o.user_id = u.id`; in SQLAlchemy a `.subquery()` that is joined with
  `.outerjoin()`;
- a value looked up by key: `LEFT JOIN`; several values of one row: `LEFT JOIN LATERAL`, in SQLAlchemy
  `.lateral()`;
- a comparison within one table (`at = (SELECT max(at) …)`): a window, `max(at) OVER (PARTITION BY
  user_id)`, or `DISTINCT ON (user_id)`.

A `column_property()` with a scalar subquery is one too, in every query of its class: make it `deferred`, or
load it in a query of its own.

It is silent about EXISTS and IN; where the query around it reads small tables or some rows by key, or has a
LIMIT of at most 100 (of a LIMIT that is a parameter, where not more rows than that came a call, or nobody
knows); where no column is equated with one around it, for then a join does no better; and where a row count
is compared with zero, which DBP309 is about. Without a database, a table that is searched for values may
give few rows, and keeps it silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import FEW, label, many, per_call
from dbperf.model.facts import ColumnRef, Role, SelectFacts, SubqueryFacts
from dbperf.model.index import quoted

CODE, SLUG = "DBP315", "correlated-subquery"
_EXISTENCE = re.compile(r"(?:(?:>|<>|!=|=) 0|>= 1|< 1)")


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each subquery that gives a value and is run once per row of a large result."""
    selects = {each.scope: each for each in reading.facts.selects}
    for each in reading.facts.subqueries:
        around, inside = selects.get(each.within), selects.get(each.scope)
        if not around or not inside or not _asked_per_row(each, inside):
            continue
        keys = _searched(reading, inside)
        if keys and _many_rows(reading, each, around):
            yield _finding(reading, each, around, inside, keys)


def _asked_per_row(subquery: SubqueryFacts, inside: SelectFacts) -> bool:
    correlated = subquery.kind == "scalar" and subquery.correlated and bool(inside.tables)
    existence = inside.aggregates == ("count",) and _EXISTENCE.fullmatch(subquery.compared)
    return correlated and subquery.clause in {"select", "where"} and not existence


def _many_rows(reading: Reading, subquery: SubqueryFacts, around: SelectFacts) -> bool:
    if not around.tables or not all(many(reading, ref, around.scope) for ref in around.tables):
        return False
    came = per_call(reading.statement) if around.scope == 0 else None
    if around.limit:
        # A sort by what the subquery gives runs it for all rows, which the text does not tell.
        return (around.limit.number or 0) > FEW or (came is not None and came > FEW)
    if came is not None and subquery.clause == "select" and not around.aggregates and not around.distinct:
        return came > FEW
    return not (around.aggregates and not around.grouped and subquery.clause == "select")


def _finding(
    reading: Reading, subquery: SubqueryFacts, around: SelectFacts, inside: SelectFacts, keys: list[ColumnRef]
) -> Finding:
    outer = ", ".join(label(ref) for ref in around.tables)
    named = ", ".join(ref.name for ref in inside.tables)
    unindexed = reading.catalog and not any(map(reading.indexed, keys)) and not reading.small(inside.tables)
    return Finding(
        title=f"a subquery on {named} is run once for each row of {outer}",
        why=f"no index begins with {named}.{keys[0].name}: each run reads all of {named}"
        if unindexed
        else "each run is a search of its own, for the planner does not join it",
        fix=_fix(subquery, around, inside, named, ", ".join(dict.fromkeys(each.name for each in keys))),
        tables=tuple(dict.fromkeys((*inside.tables, *around.tables))),
        assumed="" if reading.catalog else f"that {outer} is large",
        risk=f"where few rows of {outer} are left, grouping all of {named} may cost more than it spares"
        if inside.aggregates
        else "",
    )


def _searched(reading: Reading, inside: SelectFacts) -> list[ColumnRef]:
    """The columns of the subquery's tables that are equated with what is around it."""
    own = {label(ref) for ref in inside.tables}
    return [
        ColumnRef(column.table, column.name)
        for column in reading.facts.columns
        if column.table in inside.tables
        and any(
            use.role is Role.JOIN and use.scope == inside.scope and use.other.rpartition(".")[0] not in own
            for use in column.uses
        )
    ]


def _fix(subquery: SubqueryFacts, around: SelectFacts, inside: SelectFacts, named: str, keys: str) -> str:
    source = quoted(named) if len(inside.tables) == 1 else "…"
    if inside.aggregates:
        value = f"{inside.aggregates[0]}(…)"
        if subquery.clause == "where" and {ref.name for ref in around.tables} == {named}:
            return f"compare with a window, {value} OVER (PARTITION BY {keys}), of a subquery"
        grouped = f"{keys}, {value} FROM {source} GROUP BY {keys}"
        zero = ", and coalesce(…, 0) of the count" * (inside.aggregates == ("count",))
        return f"LEFT JOIN (SELECT {grouped}){zero}; in SQLAlchemy join its .subquery() by .outerjoin()"
    if inside.limit:
        return f"LEFT JOIN LATERAL on {source} for all that is needed of the row, or DISTINCT ON ({keys})"
    return f"LEFT JOIN {source} on the same condition; in SQLAlchemy .outerjoin()"
