"""Connections made fit to be handed out, by the deadline: opened, pinged, closed when they are no good."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import nullcontext
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from dbperf.pool.deadline import Calls, DeadlineExceeded
from dbperf.pool.drivers import interrupt

if TYPE_CHECKING:
    from dbperf.pool.adaptive import AdaptivePool
    from dbperf.pool.options import Options

ANSWER = 5.0
"""Seconds within which a ping is answered, or half of what is left if that is less: where the network is dead
there must be time to try a new connection.
"""
KEPT = frozenset({"psycopg", "psycopg_async", "asyncpg"})
"""Drivers for which the deadline is kept while they are busy; others cannot be interrupted."""


class Ready:
    """The connections of one pool."""

    def __init__(self, pool: AdaptivePool, options: Options) -> None:
        self._pool, self._ping = pool, options.pre_ping
        self._bypass, self._lifetime = options.alive_bypass, options.max_lifetime
        self.suspect = 0.0
        """Connections last used before that may be as dead as one that was found dead then."""
        self.spared = self._told = 0
        self._calls = Calls()

    def at_once(self, record: Any, now: float) -> bool:
        """Whether a connection may be handed out as it is."""
        if self._stale(record):
            return False
        if self._ping:
            if now - record._dbperf_used >= self._bypass or record._dbperf_used <= self.suspect:
                return False
            self.spared += 1
        return True

    def newly_spared(self) -> int:
        """Pings that were not sent since this was asked last."""
        before, self._told = self._told, self.spared
        return self._told - before

    def by(self, record: Any, until: float) -> bool:
        """Whether it may, pinged where that is due. Where it may not, it is closed."""
        if self.at_once(record, monotonic()):
            return True
        within = min(ANSWER, (until - monotonic()) / 2)
        if self._stale(record):
            record._dbperf_silent = self.close(record, within)
            return False
        return self.answers(record, within)

    def answers(self, record: Any, within: float) -> bool:
        """Ping it. One that is dead is invalidated, and casts suspicion on those that were not used since.

        Raises what the driver raises where that is no disconnection; the connection is closed then, too.
        """
        pool, connection = self._pool, record.dbapi_connection
        now = monotonic()
        with self._guarded(connection, now + within) as guard:
            try:
                alive = pool._dialect._do_ping_w_event(connection)
            except BaseException as error:
                if not guard.fired or not isinstance(error, Exception):
                    # Cancelled, perhaps: nobody knows what the connection still waits for, nor for how long.
                    interrupt(connection)
                    record.invalidate(error)
                    raise
                alive = False
        if alive and not guard.fired:
            record._dbperf_used = monotonic()
            return True
        self.suspect = now
        record._dbperf_silent = guard.fired
        record.invalidate(exc.DisconnectionError("it does not answer a ping"))
        return False

    def connect(self, record: Any, until: float) -> None:
        """Open a connection in a place that has none, and run the listeners to "connect" in this thread."""
        record._dbperf_until = until
        try:
            record.get_connection()
        except DeadlineExceeded as late:
            raise exc.TimeoutError(f"no connection: {late}", code="3o7r") from late
        except Exception as cut_off:
            guard = record.__dict__.get("_dbperf_guard")
            if guard is None or not guard.fired:
                raise
            what = 'a listener to "connect" was not over by the deadline'
            raise exc.TimeoutError(f"no connection: {what}", code="3o7r") from cut_off
        finally:
            del record._dbperf_until
            if (guard := record.__dict__.pop("_dbperf_guard", None)) is not None:
                guard.__exit__(None, None, None)
        record._dbperf_used = monotonic()

    def creator(self, connect: Callable[[Any], Any], record: Any) -> Any:
        """`connect`, as SQLAlchemy calls it: by the deadline, which goes on for the listeners that follow."""
        pool, until = self._pool, record.__dict__.get("_dbperf_until", inf)
        record._dbperf_used = record._dbperf_asked = now = monotonic()
        record._dbperf_silent = False
        record._dbperf_expires = now + self._lifetime * random.uniform(0.9, 1.0)  # noqa: S311  no secret
        if until == inf or not self._kept():
            return connect(record)
        connection = pool._ways.within(until, lambda: connect(record), self._close_late, self._calls)
        # Listeners to "connect" follow: they may ask the server, and it may not answer.
        guard = record._dbperf_guard = pool._ways.guard(connection, until)
        guard.__enter__()
        return connection

    def _close_late(self, connection: Any) -> None:
        self._pool._dialect.do_close(connection)

    def close(self, record: Any, within: float = inf) -> bool:
        """Close a connection for good, as SQLAlchemy does before it opens another in its place.

        Returns whether that had to be cut short: some drivers say goodbye and wait for the answer.
        """
        connection, pool = record.dbapi_connection, self._pool
        if connection is None:
            return False
        record.finalize_callback.clear()
        if pool.dispatch.close:
            pool.dispatch.close(connection, record)
        # Only drivers for asyncio wait. A thread's connection must not be interrupted while it is closed: the
        # number of its socket may be another's by then.
        guarded = (
            self._guarded(connection, monotonic() + within) if pool._is_asyncio else nullcontext(_Never())
        )
        with guarded as guard:
            try:
                pool._close_connection(connection, terminate=pool._is_asyncio)
            finally:
                record.dbapi_connection = None
        return bool(guard.fired)

    def _stale(self, record: Any) -> bool:
        pool, since = self._pool, record.starttime
        return bool(
            record.dbapi_connection is None
            or pool._invalidate_time > since
            or record._soft_invalidate_time > since
            or (pool._recycle > -1 and time.time() - since > pool._recycle)
        )

    def _kept(self) -> bool:
        return getattr(self._pool._dialect, "driver", "") in KEPT

    def _guarded(self, connection: Any, until: float) -> Any:
        if not self._kept():
            return nullcontext(_Never())
        return self._pool._ways.guard(connection, until)


class _Never:
    fired = False
