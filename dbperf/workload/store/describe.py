"""What statements are, apart from how often they ran: their text, the lines that run them, samples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import Connection, Table, select

from dbperf.model.workload import CallSite, Statement
from dbperf.workload import values
from dbperf.workload.store import tables
from dbperf.workload.store.counts import hashed, site_id, statement_id, storable
from dbperf.workload.store.rows import Row, keep


def describe(connection: Connection, statements: Iterable[Statement], at: float) -> None:
    """Say once what each statement is and which lines run it; `at` is seconds since 1970.

    What is there already is not sent: all processes of a fleet run the same statements.
    """
    known = {statement_id(each): each for each in statements}
    new = _missing(connection, tables.statement, known)
    keep(connection, tables.statement, [_statement_row(key, known[key], at) for key in new])
    sites = {site_id(site): site for each in known.values() for site in each.call_sites}
    new = _missing(connection, tables.site, sites)
    keep(connection, tables.site, [_site_row(key, sites[key]) for key in new])


def _missing(connection: Connection, table: Table, keys: Collection[int]) -> set[int]:
    there = select(table.c.id).where(table.c.id.in_(keys))
    return set(keys).difference(connection.execute(there).scalars()) if keys else set()


def keep_samples(connection: Connection, statements: Sequence[Statement], at: float) -> None:
    """Keep the parameter sets that the statements have."""
    rows = {row["digest"]: row for each in statements for row in _sample_rows(each, at)}
    keep(connection, tables.sample, list(rows.values()))


def _statement_row(key: int, statement: Statement, at: float) -> Row:
    return {
        "id": key,
        "sql": storable(statement.sql),
        "fingerprint": statement.fingerprint,
        "dialect": statement.dialect,
        "database": storable(statement.database),
        "first_seen": int(at),
    }


def _site_row(key: int, site: CallSite) -> Row:
    return {"id": key, "file": storable(site.file), "line": site.line, "function": storable(site.function)}


def _sample_rows(statement: Statement, at: float) -> Iterator[Row]:
    for number, each in enumerate(statement.samples):
        sql, parameters = storable(each.sql), values.dumps(each.parameters)
        yield {
            "statement_id": statement_id(statement),
            "digest": hashed(str(statement_id(statement)), sql, parameters),
            "sql": sql,
            "parameters": parameters,
            "seen": int(at * 1_000_000) + number,  # the order they came in
        }
