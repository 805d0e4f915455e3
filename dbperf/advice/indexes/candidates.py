"""Candidate indexes of one statement, from what it does with its columns.

The order of keys is the field's "equality, sort, range" (ESR): columns compared for equality lead, since
they leave one contiguous stretch of the index; then the sort, which that stretch then already has; then one
range. Join columns count as equality: an inner index scan binds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dbperf.advice.subject import Subject
from dbperf.model.catalog import Column, Table
from dbperf.model.facts import ColumnFacts, ColumnUse, Role, TableRef
from dbperf.model.index import IndexKey, IndexSpec

MAX_KEYS = 4
WIDE_BYTES = 400
"""A key wider than this fits too few times on a page (the hard limit is 2,704 bytes)."""

_UNORDERED_TYPES = ("json", "xml", "point", "box", "polygon", "tsvector", "tsquery")
_EQUALITY = frozenset({Role.EQUALITY, Role.IS_NULL})
_RANGE = frozenset({Role.RANGE, Role.LIKE_PREFIX})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one SELECT of a statement asks of one table."""

    equal: tuple[IndexKey, ...]
    among: tuple[IndexKey, ...]
    joined: tuple[IndexKey, ...]
    ranged: tuple[IndexKey, ...]
    sort: tuple[IndexKey, ...]


def candidates(subject: Subject) -> tuple[IndexSpec, ...]:
    """Every index on a large table that could serve `subject` and that no existing index already is."""
    found: dict[IndexSpec, None] = {}
    for table in subject.large_tables:
        for wanted in _wanted(subject, table):
            for keys in _orders(wanted):
                spec = IndexSpec(table.schema, table.name, _distinct(keys)[:MAX_KEYS])
                if spec.keys and not exists(spec, table):
                    found[spec] = None
    return tuple(found)


def exists(spec: IndexSpec, table: Table) -> bool:
    """Whether `spec` is, or is a prefix of, a valid index of `table` that covers all rows."""
    size = len(spec.keys)
    for index in table.indexes:
        if not (index.valid and index.plain) or index.keys[:size] != spec.columns:
            continue
        same = [key.descending == down for key, down in zip(spec.keys, index.descending, strict=False)]
        if all(same) or not any(same):  # a B-tree is read backwards as well
            return not any(key.opclass for key in spec.keys)
    return False


def _wanted(subject: Subject, table: Table) -> Iterator[_Wanted]:
    uses = [
        (column, use)
        for column in subject.facts.columns
        if column.table and _is(column.table, table) and _indexable(table.columns.get(column.name))
        for use in column.uses
        if not use.expression
    ]
    places = dict.fromkeys((column.table, use.scope) for column, use in uses)
    for place in places:
        here = [(column, use) for column, use in uses if (column.table, use.scope) == place]
        yield _Wanted(
            equal=_keys(table, here, _EQUALITY),
            among=_keys(table, here, {Role.IN}),
            joined=_keys(table, here, {Role.JOIN}),
            ranged=_keys(table, here, _RANGE),
            sort=_sort(subject, table, place),
        )


def _is(ref: TableRef, table: Table) -> bool:
    return ref.name == table.name and ref.schema in {"", table.schema}


def _indexable(column: Column | None) -> bool:
    return (
        column is not None
        and column.average_width <= WIDE_BYTES
        and not column.type.startswith(_UNORDERED_TYPES)
    )


def _keys(
    table: Table, uses: Iterable[tuple[ColumnFacts, ColumnUse]], roles: frozenset[Role] | set[Role]
) -> tuple[IndexKey, ...]:
    """The columns used so in conditions every row must meet, the most selective first."""
    names = dict.fromkeys(column.name for column, use in uses if use.role in roles and use.conjunct)
    ordered = sorted(names, key=lambda name: (-_distinct_values(table.columns[name]), name))
    return tuple(
        _key(table.columns[name], pattern=Role.LIKE_PREFIX in _roles(uses, name)) for name in ordered
    )


def _roles(uses: Iterable[tuple[ColumnFacts, ColumnUse]], name: str) -> set[Role]:
    return {use.role for column, use in uses if column.name == name and use.conjunct}


def _key(column: Column, *, pattern: bool) -> IndexKey:
    # Outside the C collation a B-tree sorts by language, where 'abc%' is no contiguous stretch.
    foreign = pattern and column.collation not in {"", "C", "POSIX"}
    return IndexKey(column.name, opclass="text_pattern_ops" if foreign else "")


def _distinct_values(column: Column) -> float:
    return column.distribution.distinct if column.distribution else 0.0


def _sort(subject: Subject, table: Table, place: tuple[TableRef | None, int]) -> tuple[IndexKey, ...]:
    """The leading bare columns of this table in ORDER BY; with directions only where they are mixed."""
    sorts = sorted(
        (
            (use.position, column, use)
            for column in subject.facts.columns
            for use in column.uses
            if use.role is Role.ORDER and use.scope == place[1]
        ),
        key=lambda each: each[0],
    )
    keys: list[IndexKey] = []
    for position, column, use in sorts:
        if column.table != place[0] or use.expression or position != len(keys):
            break
        if not _indexable(table.columns.get(column.name)):
            break
        keys.append(IndexKey(column.name, use.descending, use.nulls_first))
    if len({key.descending for key in keys}) == 1 and all(
        key.nulls_first in {None, key.descending} for key in keys
    ):
        return tuple(replace(key, descending=False, nulls_first=None) for key in keys)
    return tuple(keys)


def _orders(wanted: _Wanted) -> Iterator[tuple[IndexKey, ...]]:
    lookup = wanted.equal + wanted.among
    yield from ((*wanted.equal, *wanted.sort), lookup)
    yield from ((key,) for key in lookup)
    for ranged in wanted.ranged:
        yield from ((*lookup, ranged), (*wanted.equal, *wanted.sort, ranged), (ranged,))
    for joined in wanted.joined:
        yield from ((joined,), (joined, *lookup), (*lookup, joined), (joined, *wanted.sort))
        yield from ((joined, *lookup, ranged) for ranged in wanted.ranged)
    yield wanted.sort


def _distinct(keys: Iterable[IndexKey]) -> tuple[IndexKey, ...]:
    first: dict[str, IndexKey] = {}
    for key in keys:
        first.setdefault(key.column, key)
    return tuple(first.values())
