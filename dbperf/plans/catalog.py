"""Reads the catalog: tables, columns, statistics, indexes, constraints and sizes, in a handful of SELECTs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from dbperf.errors import ConnectError
from dbperf.model.catalog import Catalog, Column, Distribution, ForeignKey, Index, Table
from dbperf.plans.connect import Connection, database_of
from dbperf.plans.explain import reason_of

_OURS = """
WITH t AS (
    SELECT c.*, n.nspname AS schema, n.oid AS schema_oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
)
"""

# The true size and not relpages: the planner scales reltuples by the file's present size too.
_TABLES = """
SELECT oid, schema, relname AS name, relkind::text AS kind, reltuples AS rows, relpages,
       CASE WHEN relkind IN ('r', 'm') THEN pg_relation_size(oid) ELSE 0 END AS bytes,
       has_schema_privilege(schema_oid, 'USAGE') AND has_table_privilege(oid, 'SELECT') AS readable,
       array(SELECT DISTINCT r.schema || '.' || r.relname
             FROM pg_rewrite w
             JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
             JOIN t r ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
             WHERE t.relkind = 'v' AND w.ev_class = t.oid AND r.oid <> t.oid ORDER BY 1) AS reads,
       (SELECT r.schema || '.' || r.relname FROM t r
        WHERE t.relispartition AND r.oid = pg_partition_root(t.oid)) AS partition_of,
       p.partstrat::text AS strategy, pg_get_expr(p.partexprs, oid) AS key_expressions,
       array(SELECT a.attname::text FROM unnest(p.partattrs::int2[]) WITH ORDINALITY u(n, o)
             LEFT JOIN pg_attribute a ON a.attrelid = oid AND a.attnum = u.n AND u.n > 0
             ORDER BY o) AS key_columns
FROM t LEFT JOIN pg_partitioned_table p ON p.partrelid = t.oid
"""
_STRATEGIES = {"r": "range", "l": "list", "h": "hash"}

# A type has an order if it, or one that it is stored as, has a default B-tree operator class; enums, ranges
# and arrays share one of their kind. A virtual generated column (18) has no value to store in an index.
# to_jsonb: the provider is a column of pg_database only since PostgreSQL 15. The builtin provider
# (17) sorts by code point, as C does.
_COLUMNS = """
, classes AS (
    SELECT o.opcintype AS oid FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
    WHERE m.amname = 'btree' AND o.opcdefault
), ordered AS (
    SELECT oid FROM classes
    UNION SELECT castsource FROM pg_cast JOIN classes ON classes.oid = casttarget
    WHERE castmethod = 'b' AND castcontext = 'i'
)
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null,
       CASE WHEN a.attcollation = 0 THEN ''
            WHEN l.collname <> 'default' THEN l.collname
            WHEN to_jsonb(d) ->> 'datlocprovider' = 'b' THEN 'C'
            ELSE d.datcollate END AS collation,
       a.attgenerated <> 'v' AND (
           y.typtype IN ('e', 'r', 'm') OR coalesce(base.oid, y.oid) IN (SELECT oid FROM ordered)
           OR y.typelem <> 0 AND y.typlen = -1 AND y.typelem IN (SELECT oid FROM ordered)
       ) AS btree
FROM t JOIN pg_attribute a ON a.attrelid = t.oid
JOIN pg_type y ON y.oid = a.atttypid
LEFT JOIN pg_type base ON base.oid = y.typbasetype
JOIN pg_database d ON d.datname = current_database()
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

# Of a partitioned parent the inherited statistics are the ones that count: they sort last and win.
_STATISTICS = """
SELECT t.oid, s.attname AS name, s.null_frac, s.avg_width, s.n_distinct,
       s.most_common_vals::text::text[] AS common, s.most_common_freqs AS shares,
       s.histogram_bounds::text::text[] AS bounds, s.correlation
FROM t JOIN pg_stats s ON s.schemaname = t.schema AND s.tablename = t.relname
ORDER BY s.inherited
"""

_INDEXES = """
SELECT i.indrelid AS oid, c.relname AS name, i.indisunique AS unique, i.indisvalid AS valid,
       am.amname AS method, pg_relation_size(c.oid) AS bytes, k.conname AS constraint,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, i.indnkeyatts AS key_count,
       array(SELECT coalesce(a.attname::text, pg_get_indexdef(i.indexrelid, o, true))
             FROM generate_series(1, i.indnatts) o
             LEFT JOIN pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = i.indkey[o - 1] AND a.attnum > 0
             ORDER BY o) AS columns,
       array(SELECT option & 1 = 1 FROM unnest(i.indoption::int2[]) option) AS descending,
       am.amname = 'btree' AND i.indpred IS NULL AND i.indexprs IS NULL
           AND (SELECT bool_and(p.opcdefault) FROM pg_opclass p
                WHERE p.oid = ANY (i.indclass::oid[])) AS plain
FROM t JOIN pg_index i ON i.indrelid = t.oid
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
ORDER BY c.relname
"""

_FOREIGN_KEYS = """
SELECT k.conrelid AS oid, k.conname AS name, r.schema || '.' || r.relname AS target,
       array(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, o)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY o) AS columns,
       array(SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, o)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY o) AS target_columns
FROM t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' JOIN t r ON r.oid = k.confrelid
"""

_FUNCTIONS = "SELECT proname AS name, bool_or(provolatile = 'v') AS volatile FROM pg_proc GROUP BY proname"

# The role too: row-level security is part of a plan.
_SETTINGS = """
SELECT name, setting FROM pg_settings
WHERE category LIKE 'Query Tuning%' OR name IN ('work_mem', 'hash_mem_multiplier', 'row_security', 'jit')
UNION ALL SELECT 'role', current_user::text ORDER BY 1
"""


def read_catalog(connection: Connection) -> Catalog:
    """The catalog of the connected database as one consistent snapshot. Raises ConnectError."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '5s'")
            return _read(connection)
    except psycopg.Error as error:
        raise ConnectError(f"the catalog cannot be read: {reason_of(error)}") from None


def _read(connection: Connection) -> Catalog:
    def rows(query: str) -> list[Any]:
        with connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute((_OURS + query).encode()).fetchall()

    tables = rows(_TABLES)
    row_counts = {row.oid: row.rows for row in tables}
    statistics = {(row.oid, row.name): row for row in rows(_STATISTICS)}
    columns: defaultdict[int, dict[str, Column]] = defaultdict(dict)
    for row in rows(_COLUMNS):
        found = statistics.get((row.oid, row.name))
        columns[row.oid][row.name] = _column(row, found, row_counts[row.oid])
    indexes: defaultdict[int, list[Index]] = defaultdict(list)
    for row in rows(_INDEXES):
        indexes[row.oid].append(_index(row))
    foreign_keys: defaultdict[int, list[ForeignKey]] = defaultdict(list)
    for row in rows(_FOREIGN_KEYS):
        key = ForeignKey(row.name, tuple(row.columns), row.target, tuple(row.target_columns))
        foreign_keys[row.oid].append(key)
    functions = rows(_FUNCTIONS)
    return Catalog(
        tables={
            f"{row.schema}.{row.name}": _table(row, columns[row.oid], indexes[row.oid], foreign_keys[row.oid])
            for row in tables
        },
        search_path=tuple(rows("SELECT current_schemas(false)::text[] AS path")[0].path),
        server_version=str(rows("SELECT current_setting('server_version') AS version")[0].version).split()[0],
        server_version_num=connection.info.server_version,
        database=database_of(connection),
        known_functions=frozenset(row.name for row in functions),
        volatile_functions=frozenset(row.name for row in functions if row.volatile),
        settings={row.name: row.setting for row in rows(_SETTINGS)},
    )


def _table(row: Any, columns: Mapping[str, Column], indexes: list[Index], keys: list[ForeignKey]) -> Table:
    return Table(
        schema=row.schema,
        name=row.name,
        kind=row.kind,
        rows=row.rows,
        size_bytes=row.bytes,
        pages=-(-row.bytes // 8192) or row.relpages,
        columns=columns,
        indexes=tuple(indexes),
        foreign_keys=tuple(keys),
        readable=row.readable,
        partition_of=row.partition_of or "",
        reads=tuple(row.reads),
        partition_key=_partition_key(row.key_columns, row.key_expressions or ""),
        partition_strategy=_STRATEGIES.get(row.strategy, ""),
    )


def _partition_key(columns: list[str | None], expressions: str) -> tuple[str, ...]:
    """The parts of a partition key: a name, or for each None the next of `expressions`, a list as text."""
    waiting = _listed(expressions)
    return tuple(each if each is not None else next(waiting, "") for each in columns)


def _listed(expressions: str) -> Iterator[str]:
    """The members of a list of expressions: commas in brackets or quotes part none."""
    part, depth, quote = "", 0, ""
    for char in expressions:
        if char in "'\"" and quote in {"", char}:
            quote = "" if quote else char
        elif not quote:
            depth += (char in "([") - (char in ")]")
        if char == "," and not depth and not quote:
            yield part.strip()
            part = ""
        else:
            part += char
    yield part.strip()


def _column(row: Any, found: Any, table_rows: float) -> Column:
    distribution = None
    if found is not None:
        # n_distinct below 0 is minus the share of rows that are distinct.
        distinct = -found.n_distinct * max(table_rows, 0) if found.n_distinct < 0 else found.n_distinct
        distribution = Distribution(
            null_share=found.null_frac,
            distinct=distinct,
            common=tuple(zip(found.common or (), found.shares or (), strict=True)),
            bounds=tuple(found.bounds or ()),
            correlation=found.correlation or 0.0,
        )
    return Column(
        name=row.name,
        type=row.type,
        not_null=row.not_null,
        average_width=found.avg_width if found else 8,
        collation=row.collation,
        btree=row.btree,
        distribution=distribution,
    )


def _index(row: Any) -> Index:
    return Index(
        name=row.name,
        keys=tuple(row.columns[: row.key_count]),
        include=tuple(row.columns[row.key_count :]),
        method=row.method,
        unique=row.unique,
        valid=row.valid,
        predicate=row.predicate or "",
        constraint=row.constraint or "",
        descending=tuple(row.descending[: row.key_count]),
        plain=row.plain,
        size_bytes=row.bytes,
    )
