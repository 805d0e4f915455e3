"""DBP319 write-without-where: an UPDATE or DELETE without WHERE writes every row of a table.

It may be meant, or a condition was forgotten: in SQLAlchemy `session.execute(delete(Order))` or
`session.query(Order) .delete()` with the `.where()` or `.filter()` missing. Where it is meant, it holds a
lock on every row until it commits, and leaves as many dead rows for VACUUM.

What to write instead:

- to empty a table: `TRUNCATE orders`, which takes no time. It locks the whole table for a moment, fires no
  row triggers, and needs CASCADE where foreign keys refer to it. In SQLAlchemy `sa.text("TRUNCATE
  orders")`;
- to set a column for all: in batches by key, `WHERE id > :last AND id <= :next`, each in a transaction of
  its own, and only rows that differ: `WHERE status IS DISTINCT FROM 'done'`.

It is silent about small tables, temporary ones, a LIMIT, a join that chooses the rows, and where fewer than
1,000 rows a call were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import per_call
from dbperf.advice.subject import is_large
from dbperf.model.facts import StatementFacts, TableRef
from dbperf.statements.lexer import code

CODE, SLUG = "DBP319", "write-without-where"
FEW = 1_000
"""Rows a call; where less is written, nothing about it matters."""
_TEMPORARY = re.compile(r"(?:.*_)?(?:te?mp|staging|stage|scratch)(?:_.*)?", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)")
_WHERE = re.compile(r"\bwhere\b", re.IGNORECASE)


def read(reading: Reading) -> Iterator[Finding]:
    """A finding if the statement writes all rows of a large table."""
    facts = reading.facts
    if facts.kind not in {"update", "delete"} or facts.limit or not _writes_all(facts):
        return
    select = next((each for each in facts.selects if each.scope == 0), None)
    target = select.tables[0] if select and select.tables else None
    if target is None or not _large(reading, target):
        return
    rows = per_call(reading.statement)
    written = f"{rows:,.0f} rows a call" if rows else "every row"
    yield Finding(
        title=f"{facts.kind.upper()} {target.name} has no WHERE",
        why=f"{written}: each is locked until the end of the transaction and leaves a dead row behind",
        fix=f"to empty it: TRUNCATE {target.name}; else add the condition, in SQLAlchemy delete(…).where(…)"
        if facts.kind == "delete"
        else "add the condition, in SQLAlchemy update(…).where(…); for all rows, batches by key, and only "
        "those that differ",
        tables=(target,),
        assumed="" if reading.catalog else f"that {target.name} is large",
        risk="TRUNCATE locks the whole table, and fires no row triggers" if facts.kind == "delete" else "",
    )


def _writes_all(facts: StatementFacts) -> bool:
    """Whether nothing chooses rows: no WHERE outside of brackets, and no other table."""
    text, count = code(facts.sql), 1
    while count:
        text, count = _BRACKETS.subn(" ", text)
    return not _WHERE.search(text) and not any(join.scope == 0 for join in facts.joins)


def _large(reading: Reading, target: TableRef) -> bool:
    rows = per_call(reading.statement)
    if target.schema.startswith("pg_temp") or (rows is not None and rows < FEW):
        return False
    if reading.catalog:
        table = reading.table(target)  # a temporary one is not in it
        return table is not None and is_large(table)
    return not _TEMPORARY.fullmatch(target.name)
