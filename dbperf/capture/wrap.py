"""The dialect wrap: SQLAlchemy runs every statement through `dialect.do_execute` and its two kin, and ends
transactions and pings connections by others.

Ours stand before them as attributes of the dialect instance. Cursor events would cost more, and they
see neither how long a failed statement took nor a cancelled one; COMMIT has no event behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.engine.default import DefaultDialect

from dbperf.capture.fetch import DEFAULT
from dbperf.capture.record import Record
from dbperf.capture.transactions import Ended
from dbperf.capture.wrapping import leave_no_frame, replaced


def wrap(dialect: Dialect, record: Record, ended: Ended, initializing: set[Connection]) -> Callable[[], None]:
    """Put `record` behind every execution of `dialect`, and `ended` behind every "begin", "commit",
    "rollback" and "ping"; the function returned takes all off again.

    While the dialect asks the server about itself on the first connect, `initializing` holds that connection.
    Where somebody else wrapped the dialect after us, their wrap stays.
    """
    _make_room(dialect.execution_ctx_cls)
    ours: dict[str, Callable[..., Any]] = {
        "do_execute": _do_execute(dialect.do_execute, record),
        "do_executemany": _do_executemany(dialect.do_executemany, record),
        "do_execute_no_params": _do_execute_no_params(dialect.do_execute_no_params, record),
        "initialize": _initialize(dialect.initialize, initializing),
    }
    for name in ("begin", "commit", "rollback", "ping"):
        method = getattr(dialect, f"do_{name}")
        if getattr(method, "__func__", None) is not DefaultDialect.do_begin:  # which does nothing
            ours[f"do_{name}"] = _timed(method, name, ended)
    return replaced(dialect, ours)


def _make_room(contexts: Any) -> None:
    """Have CPython know of the one attribute that contexts get from us.

    The instances of a class share a table of their attributes' names, which is closed after the first few:
    from then on another attribute gives each instance a dictionary of its own, made anew each time.
    """
    with suppress(Exception):
        contexts.__new__(contexts).cursor_fetch_strategy = DEFAULT


def _do_execute(original: Callable[..., Any], record: Record) -> Callable[..., Any]:
    clock = perf_counter_ns

    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
        started = clock()
        try:
            result = original(cursor, statement, parameters, context)
        except BaseException as error:
            record(started, cursor, statement, parameters, context, False, error)
            leave_no_frame(error)
            raise
        record(started, cursor, statement, parameters, context, False)
        return result

    return do_execute


def _do_executemany(original: Callable[..., Any], record: Record) -> Callable[..., Any]:
    def do_executemany(cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
        started = perf_counter_ns()
        try:
            result = original(cursor, statement, parameters, context)
        except BaseException as error:
            record(started, cursor, statement, parameters, context, True, error)
            leave_no_frame(error)
            raise
        record(started, cursor, statement, parameters, context, True)
        return result

    return do_executemany


def _do_execute_no_params(original: Callable[..., Any], record: Record) -> Callable[..., Any]:
    def do_execute_no_params(cursor: Any, statement: str, context: Any = None) -> Any:
        started = perf_counter_ns()
        try:
            result = original(cursor, statement, context)
        except BaseException as error:
            record(started, cursor, statement, None, context, False, error)
            leave_no_frame(error)
            raise
        record(started, cursor, statement, None, context, False)
        return result

    return do_execute_no_params


def _timed(original: Callable[[Any], Any], name: str, ended: Ended) -> Callable[[Any], Any]:
    clock = perf_counter_ns

    def timed(dbapi_connection: Any) -> Any:
        started = clock()
        try:
            result = original(dbapi_connection)
        except BaseException as error:
            ended(name, clock() - started, dbapi_connection, error)
            leave_no_frame(error)
            raise
        ended(name, clock() - started, dbapi_connection, None)
        return result

    return timed


def _initialize(original: Callable[..., Any], initializing: set[Connection]) -> Callable[..., Any]:
    def initialize(connection: Connection) -> Any:
        initializing.add(connection)
        try:
            return original(connection)
        finally:
            initializing.discard(connection)

    return initialize
