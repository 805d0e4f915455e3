"""DBP308 distinct-hides-fanout: a join makes copies of rows, and DISTINCT takes them away again.

`SELECT DISTINCT u.* FROM users u JOIN orders o ON o.user_id = u.id WHERE o.total > 100` reads every such
order, makes a row of user for each, and then sorts or hashes them all to be left with the users. What is
asked is whether there is an order.

What to write instead:

    SELECT u.* FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.total > 100)

in SQLAlchemy `select(User).where(User.orders.any(Order.total > 100))`: it stops at the first.

It tells of a DISTINCT over a key of one table, where other tables are joined for their conditions alone and
have many rows for one. It is silent where each joined table is joined by a unique key, which makes no copies.
Without a catalog `id` is taken for the key of a table, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import label, unique_keys
from dbperf.model.facts import JoinFacts, Role, SelectFacts, TableRef

CODE, SLUG = "DBP308", "distinct-hides-fanout"


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each SELECT DISTINCT whose copies come of a join."""
    for select in reading.facts.selects:
        wanted = {column.table if column else None for column in select.output}
        if not select.distinct or select.stars or len(wanted) != 1 or select.grouped or select.windows:
            continue
        ref = next(iter(wanted))
        joins = [join for join in reading.facts.joins if join.scope == select.scope]
        names = {column.name for column in select.output if column}
        if ref is None or not _plain(reading, ref, select, joins) or not _unique(reading, ref, names):
            continue
        if reading.small(select.tables) or not any(_many(reading, ref, join, joins) for join in joins):
            continue
        yield _finding(reading, ref, select, joins)


def _plain(reading: Reading, ref: TableRef, select: SelectFacts, joins: list[JoinFacts]) -> bool:
    """Whether base tables are joined by equal columns, none by an outer join, and sorted by the wanted one.

    DISTINCT ON may sort by another, to choose among its rows.
    """
    inner = all(each.kind == "inner" and each.columns for each in joins)
    sorts = {
        column.table
        for column in reading.facts.columns
        for use in column.uses
        if use.role is Role.ORDER and use.scope == select.scope
    }
    return inner and not select.aggregates and len(select.tables) == len(joins) + 1 and sorts <= {ref}


def _unique(reading: Reading, ref: TableRef, names: set[str]) -> bool:
    """Whether the columns hold a key of the table, so that each of its rows differs from the others."""
    table = reading.table(ref)
    if table is None:
        return reading.catalog is None and "id" in names
    return any(names.issuperset(key) for key in unique_keys(table))


def _many(reading: Reading, wanted: TableRef, join: JoinFacts, joins: list[JoinFacts]) -> bool:
    """Whether a join, seen from the wanted table, may bring several rows for one."""
    return any(
        side != wanted and not _unique(reading, side, _joined_by(side, joins))
        for side in {join.table, *_ends(reading, join)}
    )


def _joined_by(ref: TableRef, joins: list[JoinFacts]) -> set[str]:
    alias = label(ref)
    ends = (end.rpartition(".") for join in joins for pair in join.columns for end in pair)
    return {name for owner, _, name in ends if owner == alias}


def _ends(reading: Reading, join: JoinFacts) -> Iterator[TableRef]:
    aliases = {end.rpartition(".")[0] for pair in join.columns for end in pair}
    return (ref for ref in reading.facts.tables if label(ref) in aliases)


def _finding(reading: Reading, ref: TableRef, select: SelectFacts, joins: list[JoinFacts]) -> Finding:
    others = [other for other in select.tables if other != ref]
    named = ", ".join(other.name for other in others)
    sources = ", ".join(f"{other.name} {other.alias}".strip() for other in others)
    conditions = " AND ".join(f"{one} = {other}" for each in joins for one, other in each.columns)
    return Finding(
        title=f"DISTINCT takes away copies of {ref.name} that the join of {named} makes",
        why=f"every matching row of {named} is joined, then all is sorted or hashed to drop the copies",
        fix=f"no DISTINCT, and WHERE EXISTS (SELECT 1 FROM {sources} WHERE {conditions} …); in "  # noqa: S608
        "SQLAlchemy .where(Model.children.any(…))",
        tables=select.tables,
        assumed="" if reading.catalog else f"that {named} may have many rows for one of {ref.name}",
    )
