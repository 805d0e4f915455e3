"""DBP311 cartesian-product: nothing says which rows of two tables belong together, so each comes with each.

`FROM orders, users` without a condition that names both, or `JOIN users ON true`, gives every order with
every user: 60,000 orders and 5,000 users are 300 million rows. A DISTINCT or a GROUP BY often hides it; the
work is done all the same.

What to write instead: the condition that joins them, `JOIN users ON users.id = orders.user_id`. In
SQLAlchemy `select(Order).join(Order.user)`. It comes about there where a column of a table is selected or
compared that `.join()` was not told of, as in `select(Order).where(User.name == "x")`, or of a table where
a subquery or an alias of it was meant. SQLAlchemy warns of it too ("cartesian product between FROM
element(s)").

It is silent where one side is small, or some rows of it are looked up by key; about subqueries, functions,
VALUES and LATERAL, which may give one row; where each is compared to the same value or to the same third
table, or one expression takes columns of both; and about a CROSS JOIN that is written as one, unless both
tables are known to be large. Without a database, what is compared to a value may be a key, and keeps it
silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label, many
from dbperf.model.facts import JoinFacts, Role, SelectFacts, TableRef

CODE, SLUG = "DBP311", "cartesian-product"
_TRUE = frozenset({"", "true", "1 = 1", "1"})
_NATURAL = re.compile(r"\bnatural\b", re.IGNORECASE)


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each SELECT, UPDATE or DELETE with tables that nothing joins."""
    if reading.facts.kind == "merge" or _NATURAL.search(reading.facts.sql):
        return
    for select in reading.facts.selects:
        sides = _apart(reading, select)
        if len(sides) > 1 and all(_many(reading, side, select.scope) for side in sides):
            if reading.catalog is None and not _by_mistake(reading, select):
                continue
            yield _finding(reading, sides[0][0], sides[1][0])


def _apart(reading: Reading, select: SelectFacts) -> list[list[TableRef]]:
    """The tables of a SELECT, in groups that nothing joins; none where that is not sure."""
    facts, scope = reading.facts, select.scope
    joins = [each for each in facts.joins if each.scope == scope]
    if len(select.tables) < 2 or len(joins) + 1 != len(select.tables):
        return []  # something else is in FROM, which may give one row
    named = {label(ref) for ref in select.tables}
    together = [_joined(each, named) for each in joins]
    together += [{_owner(each) for each in one.columns} for one in facts.filters if one.scope == scope]
    for column in facts.columns:
        for use in column.uses:
            if use.scope == scope and use.other:
                together.append({label(column.table) if column.table else "", _owner(use.other)})
    together += [
        {label(each.table) if each.table else "" for each in one.outer}
        for one in facts.subqueries
        if one.within == scope and one.outer
    ]
    together += _used_together(reading, scope)
    if any("" in each for each in together):
        return []  # the text does not tell whose a column is
    groups = _groups([*together, *({each} for each in named)])
    sides = [[ref for ref in select.tables if label(ref) in group] for group in groups]
    return sorted((side for side in sides if side), key=lambda side: select.tables.index(side[0]))


def _joined(join: JoinFacts, named: set[str]) -> set[str]:
    """What a join brings together: of a condition that names no other table, all."""
    here = {label(join.table)}
    if join.columns:
        return here | {_owner(each) for pair in join.columns for each in pair}
    if join.condition.lower().strip("()") in _TRUE:
        return here
    found = {each for each in named if re.search(rf'(?<![\w."])"?{re.escape(each)}"?\.', join.condition)}
    return here | found if found - here else set(named)


def _owner(column: str) -> str:
    return column.rpartition(".")[0]


def _used_together(reading: Reading, scope: int) -> list[set[str]]:
    """Tables whose columns are held equal to one value, `a.shop = $1 AND b.shop = $1`, or stand in one
    expression, `a.place <-> b.place`: then all pairs are what is wanted.
    """
    users: dict[tuple[int | None, str | None, str], set[str]] = {}
    for column in reading.facts.columns:
        for use in column.uses:
            held = use.role is Role.EQUALITY and not use.expression
            what = (use.parameter, use.literal, "") if held else (None, None, use.expression)
            if use.scope == scope and column.table and any(what):
                users.setdefault(what, set()).add(label(column.table))
    return list(users.values())


def _groups(together: Iterable[set[str]]) -> list[set[str]]:
    groups: list[set[str]] = []
    for each in together:
        touched = [group for group in groups if group & each]
        groups = [group for group in groups if not group & each] + [each.union(*touched)]
    return groups


def _many(reading: Reading, side: Iterable[TableRef], scope: int) -> bool:
    return all(many(reading, ref, scope) for ref in side)


def _by_mistake(reading: Reading, select: SelectFacts) -> bool:
    """Whether a join lacks its condition that is not written as a CROSS JOIN."""
    return any(
        (each.implicit or each.kind != "cross") and each.condition.lower().strip("()") in _TRUE
        for each in reading.facts.joins
        if each.scope == select.scope and not each.columns
    )


def _finding(reading: Reading, one: TableRef, other: TableRef) -> Finding:
    first, second = label(one), label(other)
    tables = [reading.table(one), reading.table(other)]
    rows = [max(each.rows, 0) for each in tables if each]
    condition = _key(reading, one, other) or _key(reading, other, one)
    on = condition or f"{first}.… = {second}.…"
    return Finding(
        title=f"nothing joins {first} and {second}: every row of one comes with every row of the other",
        why=f"{rows[0]:,.0f} x {rows[1]:,.0f} rows, before other conditions"
        if len(rows) == 2 and min(rows) > 0
        else "the rows of one times the rows of the other",
        fix=f"WHERE {on}"
        if reading.facts.kind in {"update", "delete"}
        else f"{first} JOIN {second} ON {on}; in SQLAlchemy .join({second}, …) with this condition; or "
        "leave out the table that is not used",
        tables=(one, other),
        assumed="" if reading.catalog else f"that neither {first} nor {second} is small",
    )


def _key(reading: Reading, child: TableRef, parent: TableRef) -> str:
    """The condition of a foreign key from one table to another."""
    table, target = reading.table(child), reading.table(parent)
    for key in table.foreign_keys if table and target else ():
        if target and key.target == target.qualified:
            pairs = zip(key.columns, key.target_columns, strict=True)
            return " AND ".join(f"{label(parent)}.{there} = {label(child)}.{here}" for here, there in pairs)
    return ""
