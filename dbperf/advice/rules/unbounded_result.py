"""DBP317 unbounded-result: a query without a LIMIT brings 10,000 rows a call or more.

All of them are sent, decoded and held in memory, and the number grows with the table. An ORM makes an
object of each.

What to do, by what they are for:

- to be shown: pages, by key rather than OFFSET, `WHERE id > :last ORDER BY id LIMIT 100`;
- to be counted, summed or compared: let the database do it, `select(func.count())`;
- to be worked through one by one: a stream,
  `session.scalars(select(Order).execution_options(yield_per=1000))`, with asyncio `await
  session.stream_scalars(…)`: memory then holds 1,000 at a time.

It is found from what was captured: rows over calls. A statement that was given and never ran is not judged.
A stream brings as many rows, and capture does not tell it from the rest: where this is one already, all is
well.

It is silent where a LIMIT bounds the result, and where nine tenths of the rows are never read, which DBP403
is about.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import per_call

CODE, SLUG = "DBP317", "unbounded-result"
MANY = 10_000
"""Rows a call."""
UNREAD = 0.9


def read(reading: Reading) -> Iterator[Finding]:
    """A finding if calls bring many rows and no LIMIT bounds them."""
    facts, statement = reading.facts, reading.statement
    rows = per_call(statement) or 0.0
    outermost = next((each for each in facts.selects if each.scope == 0), None)
    bounded = facts.limit or (outermost and outermost.limit)
    unread = statement.unread_rows >= UNREAD * statement.rows
    if facts.kind == "select" and rows >= MANY and not bounded and not unread:
        yield Finding(
            title=f"{rows:,.0f} rows a call, and no LIMIT",
            why="all are sent, decoded and held in memory, unless they are streamed",
            fix="what for? To show them: pages by key, .where(key > last).order_by(key).limit(100). To "
            "work through them: .execution_options(yield_per=1000). To count or sum them: in the database",
            tables=outermost.tables if outermost else (),
        )
