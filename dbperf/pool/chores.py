"""What is done in the background for connections that nobody uses: closing, validating, counting."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from dbperf.pool import fleet
from dbperf.pool.control import LOG
from dbperf.pool.ready import ANSWER

if TYPE_CHECKING:
    from dbperf.pool.adaptive import AdaptivePool

_VALIDATE = 30.0
"""Seconds after which a connection that nobody used is asked whether it is alive."""
_AGAIN = 1.0
"""Seconds until the server is asked again where no connection was to be had."""
_SUSPECT = 0.25
"""Seconds within which it answers when another one was dead: to open it anew costs less than a doubt."""


class Chores:
    """The chores of one pool. `ask`: the server, how many connections may be open."""

    def __init__(self, pool: AdaptivePool, *, ask: bool, max_idle: float) -> None:
        self._pool, self._max_idle = pool, max_idle
        self.share: int | None = None
        self._ask_at = 0.0 if ask else float("inf")
        self._running = self._stopped = False
        self._registered: tuple[Any, Any] = None, None
        """The place and the connection that holds the pool's lock."""

    def start(self) -> None:
        """Run what is due, beside the caller; never twice at once."""
        if not self._running and not self._stopped and (self._may_ask() or any(True for _ in self._due())):
            self._running = True
            self._pool._ways.keeper.beside(self.run)

    def stop(self) -> None:
        """Do no more, and keep nothing: nobody would close what is kept in a pool that was disposed of."""
        self._stopped = True

    def pause(self) -> float | None:
        """Seconds until something may be due in a pool that is not used; None: never."""
        return _VALIDATE if self._pool._line.idle else None

    def run(self) -> None:
        """All that is due now. Logs what fails, and goes on the next time."""
        try:
            for record, why in list(self._due()):
                self._tend(record, why)
            if self._may_ask():
                self._ask()
        except Exception as failure:  # noqa: BLE001  nobody waits for it
            LOG.info("a chore failed: %s", type(failure).__name__)
        finally:
            self._running = False
            if self._stopped:
                for record in self._pool._line.empty():
                    self._pool._ready.close(record)

    def _may_ask(self) -> bool:
        return (self._is_lost() or monotonic() >= self._ask_at) and self._is_postgresql()

    def _is_lost(self) -> bool:
        """Whether the connection that held the pool's lock is gone: nobody counts a pool without."""
        record, connection = self._registered
        return record is not None and record.dbapi_connection is not connection

    def _is_postgresql(self) -> bool:
        return getattr(self._pool._dialect, "name", "") == "postgresql"

    def _due(self) -> Iterator[tuple[Any, str]]:
        pool, now, line = self._pool, monotonic(), self._pool._line
        idle = sorted(line.idle.copy(), key=lambda each: each._dbperf_used)
        least = line.keep or 1
        surplus = min(line.open - pool.cap(), len(idle))
        for number, record in enumerate(idle):
            if number < surplus:
                yield record, "surplus"
            elif now > record._dbperf_expires:
                yield record, "lifetime"
            elif now - record._dbperf_used > self._max_idle and len(idle) - number > least:
                yield record, "unused"
            elif self._is_postgresql() and (now - record._dbperf_asked > _VALIDATE or self._suspect(record)):
                yield record, ""

    def _suspect(self, record: Any) -> bool:
        """Whether another one was found dead since this one was alive."""
        return bool(max(record._dbperf_used, record._dbperf_asked) <= self._pool._ready.suspect)

    def _tend(self, record: Any, why: str) -> None:
        pool = self._pool
        if why:
            # Without a permit: where many wait for one all the time, what is beyond the share must go all the
            # same, or another process could not open even the connection on which it would ask for its own.
            if pool._line.shed(record):
                self._retire(record, why)
        elif pool._line.borrow(record):
            self._validate(record)

    def _validate(self, record: Any) -> None:
        pool, alive = self._pool, False
        used = record._dbperf_used  # by the application, that is
        try:
            # A permit is held meanwhile. After a failover none may answer, and others wait.
            alive = pool._ready.answers(record, _SUSPECT if self._suspect(record) else ANSWER)
        finally:
            if alive:
                record._dbperf_used, record._dbperf_asked = used, monotonic()
                pool._line.unborrow(record)
            else:
                try:
                    self._retire(record, "dead")
                finally:
                    pool._line.drop(record)

    def _retire(self, record: Any, why: str) -> None:
        self._pool.metrics.pool[f"retired.{why}"] += 1
        self._pool._ready.close(record)

    def _ask(self) -> None:
        """See what the server allows, on a connection that is waited for like everybody does."""
        pool = self._pool
        self._ask_at = monotonic() + _AGAIN
        if self._is_lost():
            self._registered = None, None
        record = type(pool)._do_get(pool)
        self._ask_at = monotonic() + fleet.pause()
        try:
            connection: Any = record.dbapi_connection
            registered = self._registered[0] is not None and not self._is_lost()
            self.share = fleet.share(connection, record.driver_connection, registered=registered)
            connection.rollback()
            if not registered:
                self._registered = record, connection
        except BaseException:
            # It comes back without SQLAlchemy's reset: what failed must not be the next one's transaction.
            record.invalidate()
            raise
        finally:
            type(pool)._do_return_conn(pool, record)
