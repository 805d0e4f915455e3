"""DBP316 huge-in-list: IN with 100 values or more, each a parameter of its own.

The server reads, types and plans every item anew, and each length is another text: prepared statements are
of no use, and pg_stat_statements before PostgreSQL 18 fills with one entry a length. Measured on PostgreSQL
18 with psycopg, 10,000 ids by primary key: 54 ms as so many parameters, 11 ms as one array (best of 7, on
one machine, the client's work included). Written out as constants they took 4 ms: there an array spares no
time, but is one statement instead of one a length. The protocol ends at 65,535 parameters.

Pass one array instead, `WHERE id = ANY($1)`; for NOT IN `id <> ALL($1)`. In SQLAlchemy:

    ids = sa.bindparam("ids", type_=ARRAY(sa.Integer))   # from sqlalchemy.dialects.postgresql
    select(Order).where(Order.id == sa.any_(ids))        # executed with {"ids": [1, 2, …]}

The plan is the same, for PostgreSQL makes such a condition of IN too. Of many thousands, or where a list is
to be joined to more than one table, `JOIN unnest($1::int[]) AS wanted(id) USING (id)` lets the planner
choose the join. Where the values come from another query of the same database, let it do the work: `WHERE
id IN (SELECT …)`.

How long a list is, is known from the text: SQLAlchemy's `IN` is expanded per execution, and statements that
differ in the length of a list are one, of which one text was kept. So a long list may go unseen where a
short one came first.

It is silent about the lists of `selectinload`, which SQLAlchemy writes, 500 keys at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.model.facts import FilterFacts

CODE, SLUG = "DBP316", "huge-in-list"
HUGE, VERY_LARGE = 100, 5_000
"""Items from which on a list is told of, and from which on a join may be better than an array."""
_LOADED_AT_ONCE = 500


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each long list of IN or NOT IN."""
    for each in reading.facts.filters:
        written = each.operator in {"in", "not in"} and not _by_a_loader(each)
        if each.items >= HUGE and written:
            yield _finding(reading, each)


def _by_a_loader(condition: FilterFacts) -> bool:
    """Whether the ORM loads a relationship so, its own way and in parts of its own size."""
    return condition.items == _LOADED_AT_ONCE


def _finding(reading: Reading, condition: FilterFacts) -> Finding:
    column = condition.columns[0] if len(condition.columns) == 1 else ""
    tables = tuple(dict.fromkeys(each.table for each in condition.of if each.table))
    return Finding(
        title=f"{column or 'a row'} is compared with a list of {condition.items:,} values",
        why="each value is parsed and planned again, and each length of the list is another statement",
        fix=_fix(reading, condition, column),
        tables=tables,
    )


def _fix(reading: Reading, condition: FilterFacts, column: str) -> str:
    if reading.statement.dialect != "postgresql":
        return "ask in parts of some hundreds, or write the values to a temporary table and join it"
    if not column:
        return "join unnest($1, $2), one array a column"
    name = column.rpartition(".")[2]
    known = reading.column(condition.of[0]) if condition.of else None
    array = f"{known.type}[]" if known else "…[]"
    if condition.operator == "not in":
        return (
            f"{column} <> ALL($1::{array}) with one array; in SQLAlchemy col != sa.all_(sa.bindparam(…, "
            "type_=ARRAY(…)))"
        )
    join = f"; or JOIN unnest($1::{array}) AS wanted({name}) USING ({name})" * (condition.items >= VERY_LARGE)
    return (
        f"{column} = ANY($1::{array}) with one array; in SQLAlchemy col == sa.any_(sa.bindparam(…, "
        f"type_=ARRAY(…))){join}"
    )
