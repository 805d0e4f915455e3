"""What one engine ran: the dialect wrap and the recorders, put together and kept from doing harm."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Connection, Dialect

from dbperf.capture.callsite import finder
from dbperf.capture.observations import Observations
from dbperf.capture.parameters import keep
from dbperf.capture.wrap import wrap
from dbperf.settings import Resolved

_QUERY_CANCELED = "57014"


class Capture:
    """Records every statement of a dialect's engine from now until `close`.

    It never raises into the application: when recording fails, it says so once on the "dbperf" logger,
    takes itself off the dialect and leaves the application with SQLAlchemy as it is.
    """

    def __init__(
        self,
        dialect: Dialect,
        database: str,
        settings: Resolved,
        awake: Callable[[], None] | None = None,
    ) -> None:
        self.observations = Observations(dialect, database, settings.max_statements, awake)
        self._recorders = self.observations.recorders
        self._paramstyle = dialect.paramstyle
        self._keep_parameters = settings.capture_parameters
        self._find = finder(settings, hop=dialect.is_async)
        self._initializing: set[Connection] = set()
        self._open = True
        _captures.add(self)
        self._unwrap = wrap(dialect, self._record, self._initializing)

    def close(self) -> None:
        """Take everything off the dialect again; what was observed can still be read."""
        self._open = False
        self._unwrap()

    def _record(
        self,
        nanoseconds: int,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        *,
        many: bool = False,
        error: BaseException | None = None,
    ) -> None:
        if not self._open:  # somebody wrapped the dialect after us, so our functions had to stay
            return
        try:
            if self._initializing and getattr(context, "root_connection", None) in self._initializing:
                return
            if parameters is None and self._paramstyle in {"format", "pyformat"}:
                statement = statement.replace("%", "%%")  # only this driver call takes a % as it is
            slot = self._recorders.mine().slot(statement)
            if slot is None:
                return
            slot.executed(nanoseconds, len(parameters) if many else 1)
            if error is None:
                rows = getattr(cursor, "rowcount", -1)
                slot.rows += rows if rows is not None and rows > 0 else 0
            elif _cancelled(error):
                slot.cancellations += 1
            else:
                slot.errors += 1
            spot = self._find(sys._getframe(2))
            if spot is not None:
                slot.at(spot)
            if self._keep_parameters:
                keep(slot.samples, slot.calls, next(iter(parameters), ()) if many else parameters or ())
            if slot.clean:
                self._recorders.touched(statement, slot)
        except Exception as failure:  # noqa: BLE001  an observer never raises
            self._give_up(failure)

    def _give_up(self, failure: Exception) -> None:
        # No message of the failure: it may quote the application's data.
        with contextlib.suppress(Exception):
            self.observations.failures += 1
            self.close()
            trace = failure.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
            name = type(failure).__name__
            logging.getLogger("dbperf").warning("capture failed (%s at %s) and is now off", name, where)

    def forget(self) -> None:
        """Start empty."""
        self.observations.forget()
        self._initializing.clear()


def _cancelled(error: BaseException) -> bool:
    """Whether the application or the server ended a statement early, rather than it having failed.

    That is what ends a task or greenlet from outside and is no Exception (CancelledError, GreenletExit,
    GeneratorExit, KeyboardInterrupt), a driver's own timeout, and PostgreSQL's query_canceled.
    """
    if not isinstance(error, Exception) or isinstance(error, TimeoutError):
        return True
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return bool(state == _QUERY_CANCELED)


# For a forked child, which must not report its parent's statements again. Weak: engines come and go.
_captures: weakref.WeakSet[Capture] = weakref.WeakSet()


def _forget_in_child() -> None:
    for capture in list(_captures):
        capture.forget()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_in_child)
