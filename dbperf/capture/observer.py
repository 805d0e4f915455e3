"""What one engine ran: the wraps and the recorders, put together and kept from doing harm."""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from dbperf.capture.observations import Observations
from dbperf.capture.pool import PoolWatch
from dbperf.capture.record import recording
from dbperf.capture.track import tell_at
from dbperf.capture.transactions import counting
from dbperf.capture.wrap import wrap
from dbperf.settings import Resolved


class Capture:
    """Records every statement of an engine's dialect, and its pool, from now until `close`.

    It never raises into the application: when recording fails, it says so once on the "dbperf" logger,
    takes itself off the engine and leaves the application with SQLAlchemy as it is.
    """

    def __init__(
        self,
        engine: Engine,
        database: str,
        settings: Resolved,
        awake: Callable[[], None] | None = None,
    ) -> None:
        dialect = engine.dialect
        self._initializing: set[Connection] = set()
        self._closed: list[bool] = []
        self.observations = Observations(dialect, database, settings.max_statements, awake)
        self._recorders = self.observations.recorders
        tell_at(self.observations.settled)
        record = recording(
            self._recorders,
            settings,
            dialect.paramstyle,
            hop=dialect.is_async,
            initializing=self._initializing,
            closed=self._closed,
            give_up=self._give_up,
        )
        self._pool = PoolWatch(self.observations.pool, self._recorders, self._closed, self._give_up)
        _captures.add(self)
        ended = counting(self._recorders, self._closed, self._give_up)
        self._unwrap = wrap(dialect, record, ended, self._initializing)
        self._pool.wrap(engine.pool)

    def close(self) -> None:
        """Take everything off the engine again; what was observed can still be read."""
        self._closed.append(True)
        self.observations.settled.closed = True
        self._unwrap()
        self._pool.unwrap()
        self.observations.settled.along.close()

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


# For a forked child, which must not report its parent's statements again. Weak: engines come and go.
_captures: weakref.WeakSet[Capture] = weakref.WeakSet()


def _forget_in_child() -> None:
    for capture in list(_captures):
        capture.forget()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_in_child)
