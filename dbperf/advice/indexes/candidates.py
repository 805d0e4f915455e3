"""Candidate indexes of one statement, from what it does with its columns.

The order of keys is the field's "equality, sort, range" (ESR): columns compared for equality lead, since
they leave one contiguous stretch of the index; then the sort, which that stretch then already has; then one
range. Join columns count as equality: an inner index scan binds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dbperf.advice.subject import Subject, is_large
from dbperf.model.catalog import Column, Table
from dbperf.model.facts import ColumnFacts, ColumnUse, Role, TableRef
from dbperf.model.index import IndexKey, IndexSpec

MAX_KEYS = 4
WIDE_BYTES = 400
"""A key wider than this fits too few times on a page (the hard limit is 2,704 bytes)."""

_EQUALITY = frozenset({Role.EQUALITY, Role.IS_NULL})
_RANGE = frozenset({Role.RANGE, Role.LIKE_PREFIX})
_EXTREME = re.compile(r'(min|max)\(("?[\w ]+"?\.)?"?[\w ]+"?\)')

_Use = tuple[ColumnFacts, ColumnUse]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one SELECT of a statement asks of one table."""

    equal: tuple[IndexKey, ...]
    among: tuple[IndexKey, ...]
    joined: tuple[IndexKey, ...]
    ranged: tuple[IndexKey, ...]
    sort: tuple[IndexKey, ...]
    either: tuple[IndexKey, ...]
    """Columns compared below an OR, where each side wants an index of its own."""


def candidates(subject: Subject) -> tuple[IndexSpec, ...]:
    """Every index on a large table that could serve `subject` and that no existing index already is."""
    found: dict[IndexSpec, None] = {}
    for ref, table in subject.named.items():
        for wanted in _wanted(subject, ref, table) if is_large(table) else ():
            for keys in _orders(wanted):
                spec = IndexSpec(table.schema, table.name, _distinct(keys)[:MAX_KEYS])
                if spec.keys and not exists(spec, table) and not _starts_unique(spec, table):
                    found[spec] = None
    return tuple(found)


def exists(spec: IndexSpec, table: Table) -> bool:
    """Whether `spec` is, or is a prefix of, a valid index of `table` that covers all rows."""
    size = len(spec.keys)
    for index in table.indexes:
        if not (index.valid and index.plain) or index.keys[:size] != spec.columns:
            continue
        if any(key.opclass or key.nulls_first not in {None, key.descending} for key in spec.keys):
            continue
        same = [key.descending == down for key, down in zip(spec.keys, index.descending, strict=False)]
        if all(same) or not any(same):  # a B-tree is read backwards as well
            return True
    return False


def _starts_unique(spec: IndexSpec, table: Table) -> bool:
    """Whether the first keys alone find a single row, by an index that exists."""
    return any(
        index.unique
        and index.valid
        and index.plain
        and set(index.keys) == set(spec.columns[: len(index.keys)])
        for index in table.indexes
    )


def _wanted(subject: Subject, ref: TableRef, table: Table) -> Iterator[_Wanted]:
    uses = [
        (column, use)
        for column in subject.facts.columns
        if column.table == ref and _indexable(table.columns.get(column.name))
        for use in column.uses
    ]
    for scope in dict.fromkeys(use.scope for _, use in uses):
        here = [(column, use) for column, use in uses if use.scope == scope]
        bare = [(column, use) for column, use in here if not use.expression]
        sure = [(column, use) for column, use in bare if use.conjunct]
        yield _Wanted(
            equal=_keys(table, sure, _EQUALITY),
            among=_keys(table, sure, {Role.IN}),
            joined=_keys(table, sure, {Role.JOIN}),
            ranged=_keys(table, sure, _RANGE),
            sort=_sort(subject, ref, table, scope) or _extreme(here),
            either=_keys(table, [each for each in bare if each not in sure], _EQUALITY | _RANGE | {Role.IN}),
        )


def _indexable(column: Column | None) -> bool:
    return column is not None and column.btree and column.average_width <= WIDE_BYTES


def _keys(table: Table, uses: Sequence[_Use], roles: frozenset[Role] | set[Role]) -> tuple[IndexKey, ...]:
    """The columns used in one of `roles`, the most selective first."""
    names = dict.fromkeys(column.name for column, use in uses if use.role in roles)
    ordered = sorted(names, key=lambda name: (-_distinct_values(table.columns[name]), name))
    patterns = {column.name for column, use in uses if use.role is Role.LIKE_PREFIX}
    return tuple(_key(table.columns[name], pattern=name in patterns) for name in ordered)


def _key(column: Column, *, pattern: bool) -> IndexKey:
    # Outside the C collation a B-tree sorts by language, where 'abc%' is no contiguous stretch.
    if not pattern or column.collation in {"", "C", "POSIX", "NOCASE"} or column.type == "citext":
        return IndexKey(column.name)
    if column.collation in {"BINARY", "RTRIM"}:  # SQLite's LIKE ignores case, and so must its index
        return IndexKey(column.name, opclass="COLLATE NOCASE")
    padded = re.fullmatch(r"character(\(\d+\))?", column.type)
    return IndexKey(column.name, opclass="bpchar_pattern_ops" if padded else "text_pattern_ops")


def _distinct_values(column: Column) -> float:
    return column.distribution.distinct if column.distribution else 0.0


def _sort(subject: Subject, ref: TableRef, table: Table, scope: int) -> tuple[IndexKey, ...]:
    """The leading bare columns of this table in ORDER BY; with directions only where they are mixed."""
    sorts = sorted(
        (
            (use.position, column, use)
            for column in subject.facts.columns
            for use in column.uses
            if use.role is Role.ORDER and use.scope == scope
        ),
        key=lambda each: each[0],
    )
    keys: list[IndexKey] = []
    for position, column, use in sorts:
        if column.table != ref or use.expression or position != len(keys):
            break
        if not _indexable(table.columns.get(column.name)):
            break
        keys.append(IndexKey(column.name, use.descending, use.nulls_first))
    if len({key.descending for key in keys}) == 1 and all(
        key.nulls_first in {None, key.descending} for key in keys
    ):
        return tuple(replace(key, descending=False, nulls_first=None) for key in keys)
    return tuple(keys)


def _extreme(uses: Sequence[_Use]) -> tuple[IndexKey, ...]:
    """The column of min() or max(): PostgreSQL reads it off the end of an index that is sorted by it."""
    found = [column for column, use in uses if _EXTREME.fullmatch(use.expression)]
    return tuple(IndexKey(column.name) for column in found[:1])


def _orders(wanted: _Wanted) -> Iterator[tuple[IndexKey, ...]]:
    lookup = wanted.equal + wanted.among
    yield from ((*wanted.equal, *wanted.sort), lookup, lookup[:1])
    for ranged in wanted.ranged:
        yield from ((*lookup, ranged), (*wanted.equal, *wanted.sort, ranged), (ranged,))
    for joined in wanted.joined:
        yield from ((joined,), (joined, *lookup), (*lookup, joined), (joined, *wanted.sort))
        yield from ((joined, *lookup, ranged) for ranged in wanted.ranged)
    yield wanted.sort
    yield from ((key,) for key in wanted.either)


def _distinct(keys: Iterable[IndexKey]) -> tuple[IndexKey, ...]:
    first: dict[str, IndexKey] = {}
    for key in keys:
        first.setdefault(key.column, key)
    return tuple(first.values())
