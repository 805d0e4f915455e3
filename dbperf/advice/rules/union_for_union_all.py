"""DBP314 union-for-union-all: UNION looks for duplicates among rows that cannot have any.

UNION sorts or hashes all rows of its branches to drop those that come twice. Where no row of one branch can
be one of another, and none comes twice within its branch, that work finds nothing:

    SELECT id, 'open' AS kind FROM open_orders UNION SELECT id, 'done' FROM done_orders

Write `UNION ALL`; in SQLAlchemy `union_all(…)` or `.union_all()` instead of `union(…)`. Rows then come as
they are read, and a LIMIT can stop early.

It is told only where it is certain. *Branches are apart*: they put out different constants in the same
place, or a column that WHERE holds equal to different constants there. *No branch repeats a row*: it has
DISTINCT, or puts out all that it groups by, or the whole of a unique key of its only table; without a
database, a column `id` is taken for one.

It is silent about small tables, and about WITH RECURSIVE, where UNION is what ends a cycle. Constants are
known from SQL files alone: in statements that were captured they are parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import one_row, unique_keys
from dbperf.model.facts import Role, SelectFacts

CODE, SLUG = "DBP314", "union-for-union-all"
_UNSURE = re.compile(r"\brecursive\b|\bdistinct\s+on\b", re.IGNORECASE)
_NUMBER = re.compile(r"0|-?[1-9]\d*")
_WORD = re.compile(r"[a-z_][a-z_ ]*[a-z_]|[a-z_]")


def read(reading: Reading) -> Iterator[Finding]:
    """A finding where all branches of the statement's UNIONs are apart and repeat nothing."""
    facts = reading.facts
    unions = [each for each in facts.set_operations if each.kind == "union"]
    others = [each for each in facts.set_operations if each.kind not in {"union", "union all"}]
    if not unions or others or _UNSURE.search(facts.sql):
        return
    selects = {each.scope: each for each in facts.selects}
    scopes = {scope for each in facts.set_operations for scope in (each.left, each.right)}
    branches = [selects[scope] for scope in sorted(scopes) if scope in selects]
    tables = tuple(dict.fromkeys(ref for each in branches for ref in each.tables))
    if len(branches) != len(facts.set_operations) + 1 or reading.small(tables):
        return  # several unions, or one of unions
    apart = all(_apart(reading, *pair) for pair in combinations(branches, 2))
    if apart and all(_without_repeats(reading, each) for each in branches):
        assumed = reading.catalog is None and any(not each.distinct and not each.grouped for each in branches)
        yield Finding(
            title="UNION looks for duplicates that cannot be there",
            why="its branches put out different constants in the same place, and none repeats a row; all "
            "rows are hashed or sorted to drop none",
            fix="UNION ALL; in SQLAlchemy union_all()",
            tables=tables,
            assumed="that id is unique" if assumed else "",
        )


def _apart(reading: Reading, one: SelectFacts, other: SelectFacts) -> bool:
    here, there = _constants(reading, one), _constants(reading, other)
    return any(_differ(here[place], there[place]) for place in here.keys() & there.keys())


def _constants(reading: Reading, select: SelectFacts) -> dict[int, str]:
    """What a SELECT puts out the same of in each row, by place."""
    found = {place: text.strip("'").lower() for place, text in select.constants}
    held = {
        (column.table, column.name): use.literal.lower()
        for column in reading.facts.columns
        for use in column.uses
        if (use.role, use.scope, use.conjunct) == (Role.EQUALITY, select.scope, True)
        and not use.expression
        and use.literal
    }
    for place, output in enumerate(select.output):
        if output and (text := held.get((output.table, output.name))):
            found.setdefault(place, text)
    return found


def _differ(one: str, other: str) -> bool:
    """Whether two constants differ whatever their type: two plain whole numbers or two plain words."""
    alike = any(form.fullmatch(one) and form.fullmatch(other) for form in (_NUMBER, _WORD))
    return alike and one != other and "null" not in {one, other}


def _without_repeats(reading: Reading, select: SelectFacts) -> bool:
    if select.distinct or one_row(reading, select):
        return True
    if select.grouped:
        outputs = {each.name for each in select.output if each}
        return {each.rpartition(".")[2].strip('"').lower() for each in select.grouped} <= outputs
    joined = any(each.scope == select.scope for each in reading.facts.joins)
    if joined or len(select.tables) != 1:
        return False
    table = reading.table(select.tables[0])
    outputs = {each.name for each in select.output if each and each.table == select.tables[0]}
    if reading.catalog is None:
        return "id" in outputs
    return table is not None and any(
        outputs.issuperset(key)
        and all(name in table.columns and table.columns[name].not_null for name in key)
        for key in unique_keys(table)
    )
