"""An index as it could be created: what the search proposes and what-if engines build."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from dbperf.model.catalog import qualified

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# PostgreSQL's reserved words (appendix C of its manual, "reserved" and "reserved (can be function or type)"),
# and those of SQLite, which are the last two lines.
_RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in
    initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table tablesample
    then to trailing true union unique user using variadic verbose when where window with
    add alter autoincrement between commit delete drop escape exists index insert nothing raise set
    transaction update values
    """.split()  # noqa: SIM905
)


def quoted(name: str) -> str:
    """An identifier of PostgreSQL or SQLite, quoted only where it must be."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True, order=True)
class IndexKey:
    """A key column of an index; `opclass` (in SQLite a COLLATE clause) is empty for the column's default."""

    column: str
    descending: bool = False
    nulls_first: bool | None = None
    """None: PostgreSQL's default for the direction (first when descending)."""
    opclass: str = ""

    def sql(self) -> str:
        """The key as CREATE INDEX takes it."""
        text = quoted(self.column)
        if self.opclass:
            text += f" {self.opclass}"
        if self.descending:
            text += " DESC"
        if self.nulls_first is not None and self.nulls_first != self.descending:
            text += " NULLS FIRST" if self.nulls_first else " NULLS LAST"
        return text


@dataclass(frozen=True, slots=True, order=True)
class IndexSpec:
    """A B-tree that does not exist (yet)."""

    schema: str
    table: str
    keys: tuple[IndexKey, ...]

    @property
    def qualified(self) -> str:
        """The table, schema.name or the name alone, unquoted."""
        return qualified(self.schema, self.table)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the key columns."""
        return tuple(key.column for key in self.keys)

    @property
    def name(self) -> str:
        """ix_table_columns, as SQLAlchemy's and Alembic's convention has it; cut to 63 bytes with a hash.

        An operator class or collation is named too: the same columns may have an index without it.
        """
        kinds = (key.opclass.split()[-1].lower() for key in self.keys if key.opclass)
        name = "_".join(("ix", self.table, *self.columns, *kinds))
        raw = name.encode()
        if len(raw) <= 63:
            return name
        return f"{raw[:54].decode(errors='ignore')}_{hashlib.blake2b(raw, digest_size=4).hexdigest()}"

    def covers(self, other: IndexSpec) -> bool:
        """Whether every use of `other` can be served by this index: same table, `other`'s keys lead."""
        return self.qualified == other.qualified and self.keys[: len(other.keys)] == other.keys

    def ddl(self, *, name: str | None = None, concurrently: bool = False) -> str:
        """The CREATE INDEX statement."""
        keys = ", ".join(key.sql() for key in self.keys)
        kind = "CREATE INDEX CONCURRENTLY" if concurrently else "CREATE INDEX"
        table = f"{quoted(self.schema)}.{quoted(self.table)}" if self.schema else quoted(self.table)
        return f"{kind} {quoted(name or self.name)} ON {table} ({keys})"
