"""The dialect wrap: SQLAlchemy runs every statement through `dialect.do_execute` and its two kin.

Ours stand before them as attributes of the dialect instance. Cursor events would cost more, and they
see neither how long a failed statement took nor a cancelled one.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol

from sqlalchemy.engine import Connection, Dialect


class Record(Protocol):
    """Called once for each execution, with its nanoseconds; never raises."""

    def __call__(
        self,
        nanoseconds: int,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        *,
        many: bool = False,
        error: BaseException | None = None,
    ) -> None: ...


def wrap(dialect: Dialect, record: Record, initializing: set[Connection]) -> Callable[[], None]:
    """Put `record` behind every execution of `dialect`; the function returned takes all off again.

    While the dialect asks the server about itself on the first connect, `initializing` holds that
    connection. Where somebody else wrapped the dialect after us, their wrap stays.
    """
    attributes = vars(dialect)
    ours: dict[str, Callable[..., Any]] = {
        "do_execute": _do_execute(dialect.do_execute, record),
        "do_executemany": _do_executemany(dialect.do_executemany, record),
        "do_execute_no_params": _do_execute_no_params(dialect.do_execute_no_params, record),
        "initialize": _initialize(dialect.initialize, initializing),
    }
    before = {name: attributes[name] for name in ours if name in attributes}
    attributes.update(ours)

    def unwrap() -> None:
        for name, function in ours.items():
            if attributes.get(name) is not function:
                continue
            if name in before:
                attributes[name] = before[name]
            else:
                del attributes[name]

    return unwrap


def _do_execute(original: Callable[..., Any], record: Record) -> Callable[..., Any]:
    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
        started = perf_counter_ns()
        try:
            result = original(cursor, statement, parameters, context)
        except BaseException as error:
            record(perf_counter_ns() - started, cursor, statement, parameters, context, error=error)
            _leave_no_frame(error)
            raise
        record(perf_counter_ns() - started, cursor, statement, parameters, context)
        return result

    return do_execute


def _do_executemany(original: Callable[..., Any], record: Record) -> Callable[..., Any]:
    def do_executemany(cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
        started = perf_counter_ns()
        try:
            result = original(cursor, statement, parameters, context)
        except BaseException as error:
            spent = perf_counter_ns() - started
            record(spent, cursor, statement, parameters, context, many=True, error=error)
            _leave_no_frame(error)
            raise
        record(perf_counter_ns() - started, cursor, statement, parameters, context, many=True)
        return result

    return do_executemany


def _do_execute_no_params(original: Callable[..., Any], record: Record) -> Callable[..., Any]:
    def do_execute_no_params(cursor: Any, statement: str, context: Any = None) -> Any:
        started = perf_counter_ns()
        try:
            result = original(cursor, statement, context)
        except BaseException as error:
            record(perf_counter_ns() - started, cursor, statement, None, context, error=error)
            _leave_no_frame(error)
            raise
        record(perf_counter_ns() - started, cursor, statement, None, context)
        return result

    return do_execute_no_params


def _leave_no_frame(error: BaseException) -> None:
    # The traceback starts with our own function; the bare `raise` that follows adds no second entry.
    # So an application sees the traceback that it would see without us.
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def _initialize(original: Callable[..., Any], initializing: set[Connection]) -> Callable[..., Any]:
    def initialize(connection: Connection) -> Any:
        initializing.add(connection)
        try:
            return original(connection)
        finally:
            initializing.discard(connection)

    return initialize
