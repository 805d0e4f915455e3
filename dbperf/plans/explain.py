"""The safe EXPLAIN runner.

`EXPLAIN select 1; commit; insert …` commits inside a READ ONLY transaction when sent by the simple
protocol, so every statement goes by the extended protocol (`prepare=True`), which takes exactly one. Around
it: a READ ONLY transaction that is always rolled back, a statement_timeout and a lock_timeout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg

from dbperf.errors import ConnectError, StatementError
from dbperf.model.plan import Plan, PlanNode
from dbperf.plans.connect import Connection
from dbperf.plans.nodes import plan_from_json
from dbperf.plans.target import SYNTAX_ERROR

PLAN_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 1_000
MAX_DEPTH = 200
"""Levels of a plan; whatever walks one is a function that calls itself."""
_numbers = count(1)


@contextmanager
def read_only(connection: Connection, timeout_ms: int = PLAN_TIMEOUT_MS) -> Iterator[psycopg.RawCursor[Any]]:
    """A cursor (placeholders `$1`) in a READ ONLY transaction, or savepoint, that is rolled back.

    Inside a writing transaction the savepoint alone is read-only: its end restores what was before.
    Raises StatementError for whatever the server refuses.
    """
    try:
        with connection.transaction(force_rollback=True):
            # One round trip. The values at hand decide, as they do for the app's first executions.
            connection.execute(
                "SET LOCAL transaction_read_only = on;"
                f"SET LOCAL statement_timeout = {timeout_ms:d};"
                f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS:d};"
                "SET LOCAL plan_cache_mode = force_custom_plan".encode()
            )
            with psycopg.RawCursor(connection) as cursor:
                yield cursor
    except UnicodeEncodeError:
        raise StatementError("its text has no form in UTF-8") from None
    except psycopg.Error as error:
        raise failure(connection, error) from None


def explain(connection: Connection, sql: str, parameters: Sequence[Any] | None) -> Plan:
    """Plan one statement with `$n` placeholders; it is not executed.

    With `parameters` None the plan is generic: made without values. Raises StatementError.
    """
    with read_only(connection) as cursor:
        if parameters is None:
            return _explain_generic(cursor, sql)
        run(cursor, f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        return _plan(cursor)


def explain_executed(connection: Connection, sql: str, parameters: Sequence[Any], timeout_ms: int) -> Plan:
    """Execute one statement and plan it with what came of each node. Raises StatementError.

    Only for a statement that is proven to have no side effect: a READ ONLY transaction that is rolled back
    still lets sequences, NOTIFY, advisory locks and dblink through.
    """
    with read_only(connection, timeout_ms) as cursor:
        run(cursor, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        return _plan(cursor)


def check_syntax(connection: Connection, sql: str) -> None:
    """Have the server read one statement of any kind; it is neither planned nor executed.

    Raises StatementError, with sqlstate 42601 for a syntax error.
    """
    with read_only(connection):
        result = connection.pgconn.prepare(b"", sql.encode())
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)


def run(cursor: psycopg.RawCursor[Any], sql: str, parameters: Sequence[Any] = ()) -> None:
    """Send exactly one statement by the extended protocol."""
    cursor.execute(sql.encode(), list(parameters), prepare=True)


def _explain_generic(cursor: psycopg.RawCursor[Any], sql: str) -> Plan:
    # EXPLAIN (GENERIC_PLAN) is of PostgreSQL 16 and cannot be bound by the extended protocol; a prepared
    # statement under force_generic_plan gives the same plan on every version.
    run(cursor, "SET LOCAL plan_cache_mode = force_generic_plan")
    run(cursor, f"PREPARE dbperf_generic AS {sql}")
    try:
        run(
            cursor,
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'dbperf_generic'",
        )
        nulls = ", ".join(["NULL"] * _only_value(cursor))
        run(cursor, "EXPLAIN (FORMAT JSON) EXECUTE dbperf_generic" + (f"({nulls})" if nulls else ""))
        return _plan(cursor, generic=True)
    finally:
        if cursor.connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
            run(cursor, "DEALLOCATE dbperf_generic")  # prepared statements outlive a rollback


def _plan(cursor: psycopg.RawCursor[Any], *, generic: bool = False) -> Plan:
    try:
        plan = plan_from_json(_only_value(cursor), generic=generic)
    except RecursionError:
        plan = None
    if plan is None or _deeper(plan.root, MAX_DEPTH):
        raise StatementError(f"its plan is more than {MAX_DEPTH} nodes deep")
    return plan


def _deeper(node: PlanNode, levels: int) -> bool:
    return not levels or any(_deeper(child, levels - 1) for child in node.children)


def _only_value(cursor: psycopg.RawCursor[Any]) -> Any:
    row = cursor.fetchone()
    if row is None:
        raise StatementError("the server returned no plan")
    return row[0]


def failure(connection: Connection, error: psycopg.Error, about: str = "") -> ConnectError | StatementError:
    """What to raise for an error of the server: that the connection ended, or that it refused something."""
    if connection.closed:
        return ConnectError("the server closed the connection")
    return StatementError(about + reason_of(error), error.sqlstate)


_REASONS = {
    SYNTAX_ERROR: "the server finds a syntax error",
    "42501": "no permission",
    "42P01": "no such table",
    "42703": "no such column",
    "42883": "no such function or operator",
    "42P18": "the type of a parameter cannot be told",
    "57014": "planning or running it took too long",
    "55P03": "a lock was not granted in time",
    "25006": "it writes",
}


def reason_of(error: psycopg.Error) -> str:
    """One line for a person. Messages of SQLSTATE class 22 repeat parameter values, so they are not shown."""
    state = error.sqlstate or ""
    message = (error.diag.message_primary or str(error) or type(error).__name__).splitlines()
    if state.startswith("22"):
        return f"a parameter value does not fit its column (SQLSTATE {state})"
    if state == SYNTAX_ERROR and "multiple commands" in message[0]:
        return "two statements where one is due"
    if state in {"57014", "55P03"}:
        return _REASONS[state]
    return f"{_REASONS[state]}: {message[0]}" if state in _REASONS else f"{message[0]} (SQLSTATE {state})"
