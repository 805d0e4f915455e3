"""What statements are, apart from how often they ran: their text, the lines that run them, samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from dbperf.model.workload import Statement
from dbperf.workload import values
from dbperf.workload.store import tables
from dbperf.workload.store.counts import hashed, site_id, statement_id, storable
from dbperf.workload.store.rows import Row, keep


def describe(connection: Connection, statements: Iterable[Statement], at: float) -> None:
    """Say once what each statement is and which lines run it; `at` is seconds since 1970."""
    known = list(statements)
    keep(connection, tables.statement, [_statement_row(each, at) for each in known])
    sites = {site_id(site): site for each in known for site in each.call_sites}
    rows = [
        {"id": key, "file": storable(site.file), "line": site.line, "function": storable(site.function)}
        for key, site in sites.items()
    ]
    keep(connection, tables.site, rows)


def keep_samples(connection: Connection, statements: Sequence[Statement], at: float) -> None:
    """Keep the parameter sets that the statements have."""
    rows = {row["digest"]: row for each in statements for row in _sample_rows(each, at)}
    keep(connection, tables.sample, list(rows.values()))


def _statement_row(statement: Statement, at: float) -> Row:
    return {
        "id": statement_id(statement),
        "sql": storable(statement.sql),
        "fingerprint": statement.fingerprint,
        "dialect": statement.dialect,
        "database": storable(statement.database),
        "first_seen": int(at),
    }


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
