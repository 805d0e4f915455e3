"""DBP309 count-for-existence: all rows are counted to know whether there is one.

`(SELECT count(*) FROM orders o WHERE o.user_id = u.id) > 0` reads every order of each user. EXISTS stops at
the first, and the planner can make a semi-join of it.

What to write instead: `EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)`, and `NOT EXISTS (…)` for
`= 0`; in SQLAlchemy `User.orders.any()` and `~User.orders.any()`, or `select(Order).where(…).exists()`.

`HAVING count(*) > 0` is always true where there is a GROUP BY: a group without a row does not exist. Leave it
out.

It is silent about a count that is put out, about one compared with another number, and about small tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import of_the_system
from dbperf.model.facts import SelectFacts, SubqueryFacts

CODE, SLUG = "DBP309", "count-for-existence"
_SOME, _NONE = {"> 0", ">= 1", "<> 0"}, {"= 0", "< 1", "<= 0"}
_COUNT = re.compile(r"SELECT count\((?:\*|1)\)(?: AS \S+)?(?= FROM )", re.IGNORECASE)
_ALWAYS = re.compile(r"count\((?:\*|1)\) (?:> 0|>= 1|<> 0)|0 < count\((?:\*|1)\)", re.IGNORECASE)
_EMPTY_GROUPS = re.compile(r"rollup|cube|grouping sets|^\(\s*\)$", re.IGNORECASE)


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each count that is only compared with none."""
    selects = {each.scope: each for each in reading.facts.selects}
    for each in reading.facts.subqueries:
        select = selects.get(each.scope)
        counts = select and each.compared in _SOME | _NONE and _counts(reading, each, select)
        if select and counts and not reading.small(select.tables):
            yield _finding(reading, each, select)
    for condition in reading.facts.filters:
        select = selects.get(condition.scope)
        if select and condition.clause == "having" and _ALWAYS.fullmatch(condition.sql) and _groups(select):
            yield Finding(
                title=f"HAVING {condition.sql} is always true",
                why="a group without a row does not exist",
                fix=f"leave HAVING {condition.sql} out",
                tables=select.tables,
            )


def _counts(reading: Reading, subquery: SubqueryFacts, select: SelectFacts) -> bool:
    """Whether it counts all rows of tables of the application, and always puts out that number."""
    plain = not (select.grouped or select.distinct or select.windows or select.offset)
    having = any(each.clause == "having" and each.scope == select.scope for each in reading.facts.filters)
    own = not any(map(of_the_system, select.tables))
    return plain and own and not having and len(select.output) == 1 and bool(_COUNT.match(subquery.sql))


def _groups(select: SelectFacts) -> bool:
    return bool(select.grouped) and not any(_EMPTY_GROUPS.search(each) for each in select.grouped)


def _finding(reading: Reading, subquery: SubqueryFacts, select: SelectFacts) -> Finding:
    named = ", ".join(ref.name for ref in select.tables) or "a subquery"
    none = "NOT " if subquery.compared in _NONE else ""
    tilde = "~" if none else ""
    exists = _COUNT.sub("SELECT 1", subquery.sql, count=1)
    return Finding(
        title=f"rows of {named} are counted to know whether there is one",
        why="every row that matches is read, where the first would do",
        fix=f"{none}EXISTS ({exists}); in SQLAlchemy {tilde}Model.children.any(…) or "
        f"{tilde}select(Model).where(…).exists()",
        tables=select.tables,
        assumed="" if reading.catalog else f"that {named} is large",
    )
