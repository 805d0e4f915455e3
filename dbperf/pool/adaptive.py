"""The pools as SQLAlchemy sees them."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from sys import _getframe
from threading import get_ident
from time import monotonic
from typing import Any, ClassVar

from sqlalchemy import exc
from sqlalchemy.pool import ConnectionPoolEntry, Pool
from sqlalchemy.pool.base import _AsyncConnDialect, _ConnectionRecord

from dbperf.pool.holders import DEPTH, Holder, described
from dbperf.pool.line import Line
from dbperf.pool.metrics import Metrics
from dbperf.pool.waiting import Coroutine, Thread

DEFAULT_SIZE, DEFAULT_OVERFLOW = 5, 10
"""Those of SQLAlchemy, where only one of them is given."""
UNKNOWN = DEFAULT_SIZE + DEFAULT_OVERFLOW
"""Connections at most where neither the user nor the database says how many: as many as SQLAlchemy allows."""
FIRST = 16
"""How many may be in use at once before anything was observed."""


class AdaptivePool(Pool):
    """A connection pool whose size follows what pays, and that is fair to those who wait.

    `pool_size`, `max_overflow`, `timeout`, `recycle`, `pre_ping` and the rest mean what they mean to
    SQLAlchemy's QueuePool. Given together, or one of the two, `pool_size` and `max_overflow` are a hard cap of
    connections in use; where neither is given that is `max_size`, and by default the process's share of what
    the server allows. 0 and -1, SQLAlchemy's "no limit", leave it at that too.
    """

    _is_asyncio: ClassVar = False  # type: ignore[assignment]  # a property of the dialect's in Pool
    _waiter: ClassVar[Callable[[float], Any]] = Thread

    def __init__(
        self,
        creator: Any,
        pool_size: int | None = None,
        max_overflow: int | None = None,
        timeout: float | None = 30.0,
        use_lifo: bool = True,
        max_size: int | None = None,
        max_waiting: int = 10_000,
        **kw: Any,
    ) -> None:
        super().__init__(creator, **kw)
        self._ping, self._pre_ping = self._pre_ping, False  # SQLAlchemy pings later than the deadline reaches
        self._pool_size, self._max_overflow, self._max_size = pool_size, max_overflow, max_size
        self._timeout, self._use_lifo, self._max_waiting = timeout, use_lifo, max_waiting
        self._line = Line(self._first_limit(), lifo=use_lifo, keep=pool_size or None)
        self._out: dict[ConnectionPoolEntry, Holder] = {}
        self.metrics = Metrics()

    def _cap(self) -> int:
        size, overflow = self._pool_size, self._max_overflow
        if size != 0 and overflow != -1 and (size is not None or overflow is not None):
            return (DEFAULT_SIZE if size is None else size) + (
                DEFAULT_OVERFLOW if overflow is None else overflow
            )
        return self._max_size or UNKNOWN

    def _first_limit(self) -> int:
        return min(self._cap(), max(FIRST, self._pool_size or 0))

    def _do_get(self) -> ConnectionPoolEntry:
        now = monotonic()
        record = self._line.take()
        if record is None:
            record = self._wait(now)
        if record.dbapi_connection is None:
            record.get_connection()
        code, frame, stack = None, _getframe(1), []
        for _ in range(DEPTH):
            if frame is None:
                break
            code = frame.f_code
            stack += (code, frame.f_lasti)
            frame = frame.f_back  # type: ignore[assignment]
        self._out[record] = now, get_ident(), stack
        return record

    def _wait(self, since: float) -> Any:
        line, waiter = self._line, self._waiter(since)
        until = since + self._timeout if self._timeout is not None else inf
        if len(line.waiters) >= self._max_waiting:
            raise self._too_late(f"{len(line.waiters):,} are waiting already, no more may")
        granted = line.join(waiter)
        try:
            while not (granted or waiter.granted):
                waiter.wait(min(until, line.retry_at) if line.retry_at > monotonic() else until)
                if waiter.error is not None:
                    raise waiter.error
                if not waiter.granted and monotonic() >= until:
                    raise self._too_late(f"none came free within {self._timeout:g} s")
                line.serve()
        except BaseException:
            if waiter.error is None:
                line.leave(waiter)
            raise
        return waiter.record or self._connect()

    def _connect(self) -> Any:
        line = self._line
        record = line.spare.pop() if line.spare else _ConnectionRecord(self, connect=False)
        try:
            record.get_connection()
        except BaseException as error:
            line.failed(error if isinstance(error, Exception) else None, record)
            raise
        line.connected()
        return record

    def _too_late(self, what: str) -> exc.TimeoutError:
        return exc.TimeoutError(f"no connection: {what}; {described(self)}", code="3o7r")

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._out.pop(record, None) is None:
            record.close()
        elif record.dbapi_connection is None:
            self._line.drop(record)
        elif not self._line.give(record):
            try:
                record.close()
            finally:
                self._line.drop()

    def recreate(self) -> Pool:
        self.logger.info("Pool recreating")
        new = self.__class__(
            self._creator,
            pool_size=self._pool_size,
            max_overflow=self._max_overflow,
            timeout=self._timeout,
            use_lifo=self._use_lifo,
            max_size=self._max_size,
            max_waiting=self._max_waiting,
            pre_ping=self._ping,
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            _dispatch=self.dispatch,
            dialect=self._dialect,
        )
        new.metrics = self.metrics
        return new

    def dispose(self) -> None:
        for record in self._line.empty():
            record.close()
        self.logger.info("Pool disposed. %s", self.status())

    def status(self) -> str:
        return (
            f"Pool size: {self.size()}  Connections in pool: {self.checkedin()} "
            f"Current Overflow: {self.overflow()} Current Checked out connections: {self.checkedout()} "
            f"Limit: {self._line.limit} of at most {self._cap()} Waiting: {len(self._line.waiters)}"
        )

    def size(self) -> int:
        return self._line.limit if self._pool_size is None else self._pool_size

    def timeout(self) -> float | None:
        return self._timeout

    def checkedin(self) -> int:
        return len(self._line.idle)

    def overflow(self) -> int:
        return self._line.open - self.size()

    def checkedout(self) -> int:
        return self._line.busy


class AsyncAdaptivePool(AdaptivePool):
    """The same for asyncio engines."""

    _is_asyncio = True
    _dialect = _AsyncConnDialect()
    _waiter = Coroutine
