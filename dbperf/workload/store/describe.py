"""What statements and figures are, apart from how often: texts, lines that run them, names, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Table, select

from dbperf.model.runtime import Figure
from dbperf.model.workload import CallSite, Statement, Workload
from dbperf.workload import values
from dbperf.workload.keys import key_of
from dbperf.workload.store import tables
from dbperf.workload.store.counts import Key, figure_id, hashed, label_id, site_id, statement_id, storable
from dbperf.workload.store.rows import Row, keep
from dbperf.workload.store.tables import FIGURES, STATEMENTS

_Thing = TypeVar("_Thing")


def describe(connection: Connection, workload: Workload, at: float, new: Set[Key] | None = None) -> None:
    """Say once what statements and figures are, which lines run them, and what else they are counted by: of
    all in a workload, or only of those that may be `new`; `at` is seconds since 1970.

    What is there already is not sent: all processes of a fleet run the same statements.
    """
    known = {statement_id(each): each for each in workload.statements}
    things = {figure_id(each): each for each in workload.figures}
    if new is not None:
        known = {key: each for key, each in known.items() if (STATEMENTS, key) in new}
        things = {key: each for key, each in things.items() if (FIGURES, key) in new}
    sites = {site_id(site): site for each in known.values() for site in each.call_sites}
    labels = {label_id(*label): label for each in known.values() for label in _labels(each)}
    _tell(connection, tables.statement, known, partial(_statement_row, at))
    _tell(connection, tables.site, sites, _site_row)
    _tell(connection, tables.label, labels, _label_row)
    _tell(connection, tables.figure, things, partial(_figure_row, at))


def _tell(
    connection: Connection, table: Table, known: Mapping[int, _Thing], row: Callable[[int, _Thing], Row]
) -> None:
    if known:
        there = set(connection.execute(select(table.c.id).where(table.c.id.in_(known))).scalars())
        keep(connection, table, [row(key, thing) for key, thing in known.items() if key not in there])


def _labels(statement: Statement) -> Iterator[tuple[str, str]]:
    yield from (("failure", name) for name, _ in statement.failures)
    yield from (("operation", name) for name, _ in statement.operations)
    yield from (("access", key_of(each)) for each in statement.accesses)


def keep_samples(connection: Connection, statements: Sequence[Statement], at: float) -> None:
    """Keep the parameter sets that the statements have."""
    rows = {row["digest"]: row for each in statements for row in _sample_rows(each, at)}
    keep(connection, tables.sample, list(rows.values()))


def _statement_row(at: float, key: int, statement: Statement) -> Row:
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


def _label_row(key: int, label: tuple[str, str]) -> Row:
    kind, body = label
    return {"id": key, "kind": kind, "body": storable(body)}


def _figure_row(at: float, key: int, figure: Figure) -> Row:
    what = {"kind": figure.kind, "name": storable(figure.name), "database": storable(figure.database)}
    return {"id": key, **what, "first_seen": int(at)}


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
