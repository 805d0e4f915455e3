"""DBP310 order-by-random: all rows are read and sorted by chance to take a few of them.

`ORDER BY random()` gives every row that the condition leaves a number, and sorts all of them, each time. No
index helps.

What to write instead, where a few rows by chance are wanted:

- rows of a sample: `SELECT … FROM t TABLESAMPLE SYSTEM_ROWS(10)` (extension tsm_system_rows), or
  `TABLESAMPLE SYSTEM (1)` with a LIMIT. In SQLAlchemy `sa.tablesample(Model, sa.func.system(1))`;
- from a chosen key on: `WHERE id >= :key ORDER BY id LIMIT 10`, with a key drawn by the application.

It is silent about small tables, and where nothing is limited: then the order alone is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading

CODE, SLUG = "DBP310", "order-by-random"
_RANDOM = re.compile(r"(?:random|rand|newid|gen_random_uuid|dbms_random\.value)\(\)", re.IGNORECASE)


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each SELECT that takes the first rows of a random order."""
    for select in reading.facts.selects:
        term = next((each for each in select.ordered if _RANDOM.fullmatch(each)), "")
        if term and select.limit and not reading.small(select.tables):
            named = ", ".join(ref.name for ref in select.tables)
            yield Finding(
                title=f"all of {named} is sorted by {term} to take a few rows",
                why="every row is read and sorted, each time",
                fix=f"take a sample: FROM {named} TABLESAMPLE SYSTEM (1), in SQLAlchemy sa.tablesample(); or "
                "draw a key and read from there on",
                tables=select.tables,
                assumed="" if reading.catalog else f"that {named} is large",
            )
