"""DBP303 leading-wildcard: a pattern that begins with a wildcard is looked for in every row.

A B-tree is sorted by how texts begin. For `name LIKE '%smith%'` it is of no use.

What to do instead, on PostgreSQL:

- a trigram index serves any pattern of three letters or more, ILIKE too:
  `CREATE EXTENSION pg_trgm; CREATE INDEX ON users USING gin (name gin_trgm_ops)`. In SQLAlchemy
  `Index("ix_users_name_trgm", User.name, postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"})`;
- where only the end is asked for (`endswith()`), an index on the reversed text:
  `CREATE INDEX ON users (reverse(name) text_pattern_ops)`, asked for by
  `reverse(name) LIKE reverse(:end) || '%'`;
- where words are meant, full text search: `to_tsvector('english', name) @@ plainto_tsquery(:words)`.

`contains()` and `endswith()` of SQLAlchemy make such patterns; where `startswith()` is meant, write that. On
SQLite an FTS5 table with `tokenize='trigram'` does what a trigram index does.

A pattern that is one parameter is judged by captured values alone. It is silent on small tables, where a GIN
or GiST index on the column exists, and where another condition finds the few rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.ddl import expression_index
from dbperf.advice.expressions import bare, unqualified
from dbperf.advice.narrowing import narrowed
from dbperf.advice.reading import Finding, Reading
from dbperf.model.catalog import Table
from dbperf.model.facts import ColumnFacts, ColumnRef, ColumnUse, Role, TableRef
from dbperf.statements.tokens import is_postgres

CODE, SLUG = "DBP303", "leading-wildcard"
_LIKES = {Role.LIKE, Role.LIKE_SUFFIX, Role.LIKE_INFIX, Role.LIKE_PREFIX}


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each text that is searched with such a pattern, and has no index for it."""
    for column in reading.facts.columns:
        uses = [use for use in column.uses if use.role in _LIKES and _open(reading, column, use)]
        texts = {_text(reading, column, use): use for use in reversed(uses)}
        for text, use in texts.items() if column.table else ():
            if column.table and text and _matters(reading, column, column.table, use):
                yield _finding(reading, column.table, column, use, text)


def _open(reading: Reading, column: ColumnFacts, use: ColumnUse) -> bool:
    """Whether the pattern begins with a wildcard: by its text, or in what was captured of it."""
    if use.literal is not None:
        return _is_open(use.literal)
    if use.role in {Role.LIKE_SUFFIX, Role.LIKE_INFIX} or _put_together(reading, column, use):
        return True
    return any(
        isinstance(value := each.parameters[use.parameter - 1], str) and _is_open(value)
        for each in reading.statement.samples
        if use.parameter is not None and use.parameter <= len(each.parameters)
    )


def _put_together(reading: Reading, column: ColumnFacts, use: ColumnUse) -> bool:
    """Whether the pattern is `'%' || $1 || '%'`, as contains() has it."""
    searched = re.escape(use.expression or column.name)
    written = re.compile(rf"(?<!\w){searched}\)* I?LIKE (?:concat\()?'[%_]", re.IGNORECASE)
    ref = ColumnRef(column.table, column.name)
    return any(
        each.scope == use.scope and ref in each.of and written.search(each.sql)
        for each in reading.facts.filters
    )


def _is_open(pattern: str) -> bool:
    return pattern[:1] in {"%", "_"} and bool(pattern.strip("%_"))


def _text(reading: Reading, column: ColumnFacts, use: ColumnUse) -> str:
    """What is searched: the column, or a function of it."""
    if not use.expression:
        return column.name
    return unqualified(use.expression, reading.statement.dialect)


def _matters(reading: Reading, column: ColumnFacts, ref: TableRef, use: ColumnUse) -> bool:
    table = reading.table(ref)
    if reading.small([ref]) or narrowed(reading, ref, use.scope):
        return False
    if table is None:
        return reading.catalog is None
    stored = table.columns.get(column.name)
    textual = stored is not None and stored.type.startswith(("text", "character", "citext", "varchar"))
    return textual and table.kind in "rmp" and not _searchable(table, use.expression or column.name, reading)


def _searchable(table: Table, text: str, reading: Reading) -> bool:
    dialect = reading.statement.dialect
    keys = {key for index in table.indexes if index.method in {"gin", "gist"} for key in index.keys}
    return any(bare(key, dialect) == bare(text, dialect) for key in keys)


def _finding(reading: Reading, ref: TableRef, column: ColumnFacts, use: ColumnUse, text: str) -> Finding:
    suffix = use.role is Role.LIKE_SUFFIX
    ddl: tuple[str, ...] = ()
    fix = "a full-text index, or a pattern with a known beginning: startswith() in SQLAlchemy"
    if is_postgres(reading.statement.dialect):
        ddl = _ddl(reading, ref, text, suffix=suffix)
        fix = "a trigram index serves any pattern of three letters or more; in SQLAlchemy "
        fix += f'Index(…, Model.{column.name}, postgresql_using="gin", postgresql_ops={{…: "gin_trgm_ops"}})'
        if suffix:
            fix = f"an index on the reversed text, and reverse({text}) LIKE reverse(…) || '%'; in SQLAlchemy "
            fix += f"func.reverse(Model.{column.name}).startswith(end[::-1])"
    elif reading.statement.dialect.startswith("sqlite"):
        fix = "an FTS5 table with tokenize='trigram'"
    return Finding(
        title=f"{ref.name}.{text} is searched for a pattern that begins with a wildcard",
        why="no B-tree knows where such a text is: every row is looked at",
        fix=fix,
        tables=(ref,),
        key=f"{ref.name}.{text}{':end' if suffix else ''}",
        ddl=ddl,
        assumed="" if reading.catalog else f"that {ref.name} is large and has no trigram index",
        risk="a trigram index is large, and slows writing of the column down" if ddl and not suffix else "",
    )


def _ddl(reading: Reading, ref: TableRef, text: str, *, suffix: bool) -> tuple[str, ...]:
    if suffix:
        return (expression_index(reading, ref, f"reverse({text})", "text_pattern_ops"),)
    index = expression_index(reading, ref, text, "gin_trgm_ops", "gin")
    return "CREATE EXTENSION IF NOT EXISTS pg_trgm;", index
