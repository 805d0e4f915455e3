"""Tables: what this role may read, how good their statistics are, which of their indexes are dead."""

from __future__ import annotations

from typing import Any

from psycopg.rows import namedtuple_row

from dbperf.model.checkup import Check, Status
from dbperf.plans.connect import Connection
from dbperf.plans.doctor.settings import read_setting
from dbperf.plans.doctor.words import FIRST, counted, listed

# Quoted by the server, for SQL.
_TABLES = """
WITH t AS (
    SELECT c.*, n.nspname, format('%I.%I', n.nspname, c.relname) AS name,
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
           row_security_active(c.oid) AS guarded,
           CASE WHEN c.relkind = 'p'
                THEN (SELECT coalesce(sum(pg_relation_size(relid)), 0) FROM pg_partition_tree(c.oid))
                ELSE pg_relation_size(c.oid) END AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
)
"""


def privileges(connection: Connection) -> Check:
    """Whether this role may read all tables: of those it may not, it does not see the statistics either."""
    name = "privileges"
    rows = _rows(
        connection,
        "SELECT name, readable, guarded, quote_ident(nspname) AS schema, quote_ident(current_user) AS role"
        " FROM t ORDER BY name",
    )
    hidden = [row for row in rows if not row.readable]
    if not hidden:
        return _statistics_shown(name, [row for row in rows if row.guarded])
    role = hidden[0].role
    grants = []
    for schema in sorted({row.schema for row in hidden}):
        grants.append(f"GRANT USAGE ON SCHEMA {schema} TO {role};")
        grants.append(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};")
    return Check(
        name,
        Status.ERROR if len(hidden) == len(rows) else Status.WARNING,
        f"{len(hidden):,} of {counted(len(rows), 'table')} may not be read:"
        f" {listed([row.name for row in hidden])}",
        "PostgreSQL plans no statement on a table for a role that may not read it, nor shows its statistics",
        "statements on these tables are not judged",
        tuple(grants),
    )


def _statistics_shown(name: str, guarded: list[Any]) -> Check:
    """Of a role that may read all tables: whether a row policy keeps their statistics from it."""
    if not guarded:
        return Check(name, Status.OK, "this role may read all tables")
    return Check(
        name,
        Status.WARNING,
        f"row policies hide the statistics of {counted(len(guarded), 'table')} from this role:"
        f" {listed([row.name for row in guarded])}",
        "PostgreSQL shows no values of a table to a role that may see some of its rows only",
        "parameter values for these tables cannot be made from statistics; plans contain the policies",
        (f"ALTER ROLE {guarded[0].role} BYPASSRLS;",),
    )


def analyzed(connection: Connection) -> Check:
    """Whether every table with rows has statistics. A partitioned parent has none unless someone asks."""
    name = "tables-analyzed"
    rows = _rows(
        connection,
        "SELECT name FROM t WHERE readable AND NOT guarded AND bytes > 0"
        " AND reltuples <> 0 AND NOT EXISTS"
        " (SELECT FROM pg_stats s WHERE s.schemaname = nspname AND s.tablename = relname)"
        " ORDER BY bytes DESC, name",
    )
    if not rows:
        return Check(name, Status.OK, "no table that this role may read lacks statistics")
    return Check(
        name,
        Status.WARNING,
        f"{counted(len(rows), 'table')} never analyzed: {listed([row.name for row in rows])}",
        "the planner guesses: a fixed share of the rows for each condition. Of a partitioned table only an"
        " explicit ANALYZE makes the statistics of the whole",
        "plans may be of the wrong shape, and parameter values cannot be made from statistics",
        _analyze([row.name for row in rows]),
    )


def fresh_statistics(connection: Connection) -> Check:
    """Whether more rows changed since the last ANALYZE than autovacuum lets pass by default, twice over."""
    name = "fresh-statistics"
    rows = _rows(
        connection,
        "SELECT name, s.n_mod_since_analyze AS changed, s.n_live_tup AS live"
        " FROM t JOIN pg_stat_all_tables s ON s.relid = t.oid"
        " WHERE s.n_mod_since_analyze > greatest(1000, 0.2 * s.n_live_tup) AND coalesce(s.last_analyze,"
        " s.last_autoanalyze) IS NOT NULL ORDER BY changed DESC, name",
    )
    if not rows:
        return Check(name, Status.OK, "no table changed much since its last ANALYZE")
    first = rows[0]
    most = f"{first.name} most, " if len(rows) > 1 else ""
    return Check(
        name,
        Status.WARNING,
        f"{counted(len(rows), 'table')} changed a lot since the last ANALYZE:"
        f" {listed([row.name for row in rows])};"
        f" {most}{first.changed:,} changes for {first.live:,} rows",
        "the planner works with yesterday's data: it underestimates what was added since",
        "plans and parameter values are those of the old rows",
        _analyze([row.name for row in rows]),
    )


def autovacuum(connection: Connection) -> Check:
    """Whether autovacuum keeps statistics up to date, on the server and for each table."""
    name = "autovacuum"
    why = "nobody else runs ANALYZE when rows change, or removes dead rows"
    off = [
        each
        for each in (read_setting(connection, name) for name in ("autovacuum", "track_counts"))
        if each.value == "off"
    ]
    if off:
        return Check(
            name,
            Status.WARNING,
            f"{' and '.join(each.name for each in off)} switched off on this server",
            why,
            "statistics grow stale unseen",
            tuple(dict.fromkeys(fix for each in off for fix in each.restore())),
        )
    rows = _rows(
        connection,
        "SELECT name, CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind"
        " FROM t WHERE EXISTS (SELECT FROM unnest(reloptions) o"
        " WHERE o ~ '^autovacuum_enabled=(false|off|no|0)$') ORDER BY name",
    )
    if not rows:
        return Check(name, Status.OK, "autovacuum is on for all tables")
    return Check(
        name,
        Status.WARNING,
        f"autovacuum switched off for {counted(len(rows), 'table')}: {listed([row.name for row in rows])}",
        why,
        "statistics of these tables grow stale unseen",
        tuple(f"ALTER {row.kind} {row.name} RESET (autovacuum_enabled);" for row in rows),
    )


def valid_indexes(connection: Connection) -> Check:
    """Whether an index is left behind by a CREATE or REINDEX CONCURRENTLY that failed."""
    name = "valid-indexes"
    rows = _rows(
        connection,
        "SELECT format('%I.%I', t.nspname, x.relname) AS name, x.relname ~ '_cc(old|new)\\d*$' AS left_over"
        " FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid"
        " WHERE NOT i.indisvalid AND x.relkind = 'i' AND NOT EXISTS"
        " (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) ORDER BY 1",
    )
    if not rows:
        return Check(name, Status.OK, "all indexes are valid")
    return Check(
        name,
        Status.WARNING,
        f"{counted(len(rows), 'invalid index')}: {listed([row.name for row in rows])}",
        "no plan uses such an index, and every write still maintains it; where a unique one failed over"
        " duplicates, they must go first",
        "statements that would use it look as if it were missing",
        tuple(
            f"DROP INDEX CONCURRENTLY {row.name};"
            if row.left_over
            else f"REINDEX INDEX CONCURRENTLY {row.name};"
            for row in rows
        ),
    )


def column_targets(connection: Connection) -> Check:
    """Whether a large table has columns that are sampled less than the others, because someone said so."""
    name = "column-targets"
    rows = _rows(
        connection,
        "SELECT name, quote_ident(attname) AS column, attstattarget AS target"
        " FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND attnum > 0 AND NOT attisdropped"
        " WHERE attstattarget BETWEEN 0 AND current_setting('default_statistics_target')::int - 1"
        " AND bytes > 64 * 8192 ORDER BY 1, 2",  # less is read whole in well under a millisecond
    )
    if not rows:
        return Check(name, Status.OK, "no column of a large table is sampled less than the default")
    return Check(
        name,
        Status.INFO,
        "columns sampled less than the default: "
        + listed([f"{row.name}.{row.column} (statistics target {row.target})" for row in rows]),
        "the planner knows fewer of their values; with a target of 0, none",
        "estimates for conditions on these columns are worse",
        tuple(f"ALTER TABLE {row.name} ALTER COLUMN {row.column} SET STATISTICS -1;" for row in rows),
    )


def _rows(connection: Connection, query: str) -> list[Any]:
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute((_TABLES + query).encode()).fetchall()


def _analyze(tables: list[str]) -> tuple[str, ...]:
    """One statement: ANALYZE takes a list, and all of them when it is given none."""
    return (f"ANALYZE {', '.join(tables)};",) if len(tables) <= FIRST * 2 else ("ANALYZE;",)
