"""DBP313 having-for-where: a condition of HAVING is about no aggregate, and groups are made to be dropped.

`SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING user_id IN (SELECT id FROM vips)` counts the
orders of all users, and then throws most counts away. In WHERE, the same condition keeps those rows from
being read:

    SELECT user_id, count(*) FROM orders WHERE user_id IN (SELECT id FROM vips) GROUP BY user_id

In SQLAlchemy `.where(Order.user_id.in_(vips))` instead of `.having(…)`. The result is the same, for a
condition on what is grouped by is true for all rows of a group, or for none.

PostgreSQL moves a plain condition by itself (`HAVING user_id = 4` reads by the index, as EXPLAIN shows),
and so does SQLite. Neither does with a subquery in it. MySQL applies HAVING last, "with no optimization" in
the words of its manual. So this rule tells of conditions with a subquery, and for MySQL of all.

It is silent about small tables, about conditions with an aggregate, and about GROUPING SETS, ROLLUP and
CUBE: there WHERE means something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.model.facts import FilterFacts, SelectFacts

CODE, SLUG = "DBP313", "having-for-where"
_SETS = re.compile(r"\b(?:rollup|cube|grouping\s+sets)\b", re.IGNORECASE)
_SUBQUERY = re.compile(r"\(\s*(?:select|with)\b", re.IGNORECASE)
_SCALAR = re.compile(r"[=<>]+\s*\(\s*select\b", re.IGNORECASE)
_VOLATILE = re.compile(r"\b(?:random|rand|uuid|gen_random_uuid|clock_timestamp|nextval)\(", re.IGNORECASE)


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each condition of HAVING that WHERE could have."""
    facts = reading.facts
    if _SETS.search(facts.sql):
        return
    selects = {each.scope: each for each in facts.selects}
    for each in facts.filters:
        select = selects.get(each.scope)
        if not select or each.clause != "having" or reading.small(select.tables):
            continue
        if _movable(each, select) and _stays(reading, each, select):
            yield Finding(
                title=f"HAVING {each.sql} drops groups only after they are made",
                why="all rows are read and grouped, also those of groups that are dropped",
                fix=f"WHERE {each.sql} before GROUP BY; in SQLAlchemy .where() instead of .having()",
                tables=select.tables,
                assumed="" if reading.catalog else "that the table is large",
            )


def _movable(condition: FilterFacts, select: SelectFacts) -> bool:
    """Whether it is about columns that are grouped by, and nothing else."""
    grouped = {each.rpartition(".")[2].strip('"`').lower() for each in select.grouped}
    columns = {each.rpartition(".")[2].lower() for each in condition.columns}
    plain = not condition.aggregate and not _VOLATILE.search(condition.sql)
    return plain and bool(columns) and columns <= grouped


def _stays(reading: Reading, condition: FilterFacts, select: SelectFacts) -> bool:
    """Whether the planner leaves it where it is written."""
    if reading.statement.dialect == "mysql":
        # There it may name an output that is no column, which WHERE cannot.
        outputs = {each.name for each in select.output if each}
        return all(each.rpartition(".")[2] in outputs for each in condition.columns)
    return bool(_SUBQUERY.search(condition.sql)) and not _SCALAR.search(condition.sql)
