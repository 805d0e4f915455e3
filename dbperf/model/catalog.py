"""What the target's catalog says of its tables, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def qualified(schema: str, name: str) -> str:
    """schema.name, or the name alone where `schema` is empty."""
    return f"{schema}.{name}" if schema else name


@dataclass(frozen=True, slots=True)
class Distribution:
    """pg_stats of a column, or what a sample says: shares are 0 to 1 of all rows, the most common first.

    Values are text as PostgreSQL prints them, or SQLite's own. `distinct` is the number of distinct values
    (already scaled to rows).
    """

    null_share: float = 0.0
    distinct: float = 0.0
    common: tuple[tuple[Any, float], ...] = ()
    bounds: tuple[Any, ...] = ()
    correlation: float = 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` as format_type prints it, `collation` its name ("" if not collatable).

    `btree`: a B-tree can hold it, that is, its type has an order and its values are stored.
    """

    name: str
    type: str
    not_null: bool = False
    average_width: int = 8
    collation: str = ""
    btree: bool = True
    distribution: Distribution | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the database. `keys` are column names or expressions, in order.

    `predicate` is the WHERE of a partial index. `descending` marks the keys stored in descending order.
    `plain`: B-tree on bare columns in default operator classes, the only kind compared with a candidate.
    """

    name: str
    keys: tuple[str, ...]
    include: tuple[str, ...] = ()
    method: str = "btree"
    unique: bool = False
    valid: bool = True
    predicate: str = ""
    constraint: str = ""
    descending: tuple[bool, ...] = ()
    plain: bool = True
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key: `columns` of this table refer to `target` (qualified) (`target_columns`)."""

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table, partition parent, materialised view or view; `rows` is the planner's, -1 if never analyzed.

    `kind` is pg_class.relkind's letter, `pages` are of 8 kB. `schema` is empty in SQLite.
    """

    schema: str
    name: str
    kind: str
    rows: float
    size_bytes: int
    pages: int
    columns: Mapping[str, Column] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    readable: bool = True
    """Whether this role may SELECT from it, and so sees its statistics."""
    partition_of: str = ""
    """The root of its partition tree, "schema.name", if it is a partition."""
    reads: tuple[str, ...] = ()
    """Of a view: the tables and views that it reads itself, qualified."""
    partition_key: tuple[str, ...] = ()
    """What it is partitioned by: names of columns, and expressions as text."""
    partition_strategy: str = ""
    """range, list or hash; empty if it is not partitioned."""

    @property
    def qualified(self) -> str:
        """schema.name, or the name where there are no schemas, unquoted: a key and a label, not SQL."""
        return qualified(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All tables of one database that are not the system's, by their qualified names."""

    tables: Mapping[str, Table]
    search_path: tuple[str, ...]
    server_version: str
    server_version_num: int
    database: str
    volatile_functions: frozenset[str] = frozenset()
    known_functions: frozenset[str] = frozenset()
    dialect: str = "postgresql"
    """SQLAlchemy's name."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the planner goes by besides the tables; empty where that is not known."""

    def find(self, schema: str, name: str) -> Table | None:
        """The table a statement means by `schema.name`; with no schema, the first on the search path."""
        for candidate in (schema,) if schema else self.search_path:
            if table := self.tables.get(qualified(candidate, name)):
                return table
        return None

    def behind(self, table: Table) -> tuple[Table, ...]:
        """The tables that a view reads in the end, through other views too; of any other, itself."""
        found: dict[str, Table] = {}
        waiting = [table]
        while waiting:
            each = waiting.pop()
            if each.kind == "v":  # never one of its own: PostgreSQL has no view that reads itself
                waiting += [self.tables[name] for name in each.reads if name in self.tables]
            else:
                found[each.qualified] = each
        return tuple(found.values())

    def root(self, table: Table) -> Table:
        """The table an index belongs on: of a partition, the root of its tree; else the table itself."""
        return self.tables.get(table.partition_of, table)
