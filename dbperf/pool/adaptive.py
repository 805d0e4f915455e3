"""The pools as SQLAlchemy sees them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from math import inf
from time import monotonic
from typing import Any, ClassVar

from sqlalchemy import exc
from sqlalchemy.pool import ConnectionPoolEntry, Pool
from sqlalchemy.pool.base import _AsyncConnDialect, _ConnectionRecord

from dbperf.pool import forks
from dbperf.pool.chores import Chores
from dbperf.pool.contract import TICK
from dbperf.pool.control import LOG, Change, Control, Leaks, held_now
from dbperf.pool.holders import Holder, described
from dbperf.pool.line import Line
from dbperf.pool.metrics import Metrics
from dbperf.pool.options import UNKNOWN, Options
from dbperf.pool.ready import Ready
from dbperf.pool.ways import OF_COROUTINES, OF_THREADS, Ways

_WITHOUT_WAIT = 30.0
"""Seconds to connect or ping where the timeout is 0: who does not want to wait in line wants a connection."""
_STALLED = TICK / 5
"""Seconds between looks in a stall, to end with it."""
_HURRY = 0.02
"""Seconds in which a queue may grow before the first look at it."""
_GOODBYE = 5.0
"""Seconds that closing all idle connections may take; those left then are cut off."""


class AdaptivePool(Pool):
    """A connection pool that is as large as pays, fair to those who wait, and true to its timeout.

    `pool_size`, `max_overflow`, `timeout`, `recycle`, `pre_ping`, `use_lifo` and the rest mean what they mean
    to SQLAlchemy's QueuePool; of idle connections the one used last is taken first unless `use_lifo=False`.

    Together `pool_size` and `max_overflow` are a hard cap of connections in use, where the user gives one of
    them (the other is then SQLAlchemy's default). Where neither is given, or where they are SQLAlchemy's "no
    limit" (0 and -1), the cap is `max_size`, and by default this process's share of what the server allows.

    `timeout` is for all that a checkout takes, in seconds: waiting, connecting, pinging. With psycopg and
    asyncpg it is kept also when the network or the server stands still. No other driver can be interrupted.

    - `max_waiting`: checkouts that may wait at once; one more raises TimeoutError.
    - `max_lifetime`: seconds after which a connection is closed, not kept; up to a tenth less, at random.
    - `max_idle`: seconds without use after which connections beyond `pool_size` (or the first) are closed.
    - `alive_bypass`: with `pre_ping`, seconds after its last use within which a connection is not pinged.
    - `leak_after`: seconds of doing nothing while in use after which a connection is told as a leak.
    - `adaptive`: False for a pool of one size, its cap.
    """

    _sqla_logger_namespace = "sqlalchemy.pool.AdaptivePool"  # below the name that users know
    _is_asyncio = False
    _ways: ClassVar[Ways] = OF_THREADS

    def __init__(
        self,
        creator: Any,
        pool_size: int | None = None,
        max_overflow: int | None = None,
        timeout: float | None = 30.0,
        use_lifo: bool = True,
        max_size: int | None = None,
        max_waiting: int = 10_000,
        max_lifetime: float = 1800.0,
        max_idle: float = 600.0,
        alive_bypass: float = 0.5,
        leak_after: float = 60.0,
        adaptive: bool = True,
        _metrics: Metrics | None = None,
        **kw: Any,
    ) -> None:
        super().__init__(creator, **kw)
        self._options = Options(
            pool_size,
            max_overflow,
            timeout,
            use_lifo,
            max_size,
            max_waiting,
            max_lifetime,
            max_idle,
            alive_bypass,
            leak_after,
            adaptive,
            self._pre_ping,
        )
        self._timeout = inf if timeout is None else timeout
        self._attentive = self._pre_ping or self._recycle > -1
        self._pre_ping = False  # SQLAlchemy pings later than the deadline reaches
        self._ready = Ready(self, self._options)
        self.metrics = Metrics() if _metrics is None else _metrics
        self._start()
        forks.watch(self)

    def _start(self) -> None:
        options = self._options
        self._out: dict[ConnectionPoolEntry, Holder] = {}
        self._line = Line(options.first_limit(), lifo=options.use_lifo, keep=options.pool_size or None)
        self._chores = Chores(self, ask=options.cap is None and options.adaptive, max_idle=options.max_idle)
        self._control = Control(self._line, self.metrics, self.cap, adaptive=options.adaptive)
        self._leaks = Leaks(self.metrics, options.leak_after)
        self._looked_after = self._hurried = False

    def _should_wrap_creator(self, creator: Any) -> Any:
        connect = super()._should_wrap_creator(creator)

        def by_deadline(record: Any) -> Any:
            return self._ready.creator(connect, record)

        return by_deadline

    @property
    def changes(self) -> Sequence[Change]:
        """How the limit changed lately, and why; the last comes last."""
        return tuple(self._control.changes)

    def cap(self) -> int:
        """Connections that may be in use at once, at the very most."""
        return self._options.cap or self._chores.share or UNKNOWN

    def cap_of(self) -> str:
        """Who says so: `pool_size`, `max_size`, the `fleet`'s share, or nobody (`default`)."""
        if self._options.cap:
            return "pool_size" if self._options.sized else "max_size"
        return "fleet" if self._chores.share else "default"

    def _do_get(self) -> ConnectionPoolEntry:
        now = monotonic()
        record = self._line.take()
        # What is asked here in line costs more as a function than all the rest of a checkout's attention.
        if (
            record is None
            or record.dbapi_connection is None
            or record.starttime < self._invalidate_time
            or record.starttime < record._soft_invalidate_time
            or (self._attentive and not self._ready.at_once(record, now))
        ):
            record = self._get(record, now)
            now = monotonic()
        if not self._looked_after:
            try:
                self._look_after()
            except BaseException:
                # KeyboardInterrupt, or gevent's end of a greenlet, while a thread is started.
                if not self._line.give(record):
                    self._line.drop(record)
                raise
        self._out[record] = self._ways.holder(now)
        return record  # type: ignore[no-any-return]

    def _get(self, record: Any, since: float) -> Any:
        """Wait, connect and ping, all of it by the deadline."""
        line, until, first = self._line, since + self._timeout, False
        ready_by = until if self._timeout else since + _WITHOUT_WAIT
        while True:
            if record is None:
                record = self._wait(since, until, first=first)
            if record is None:
                return self._connect(ready_by)
            try:
                if self._ready.by(record, ready_by):
                    return record
            except BaseException:
                try:
                    self._ready.close(record)
                finally:
                    line.drop(record)
                raise
            # After one that was silent others would be, too: there would be no time left for a new one.
            if record._dbperf_silent and line.reopen():
                return self._connect(ready_by, record)
            line.drop(record)
            record, first = None, True

    def _wait(self, since: float, until: float, *, first: bool) -> Any:
        """Stand in line. Returns an idle connection, or None: this checkout is to open one."""
        line, waiter = self._line, self._ways.waiter(since)
        try:
            if not line.join(waiter, first=first):
                self._queue(len(line.waiters))
            while not waiter.granted:
                retry = line.retry_at
                waiter.wait(min(until, retry) if retry > monotonic() else until)
                if waiter.error is not None:
                    raise copy(waiter.error)  # the same may be raised in other threads
                if not waiter.granted and monotonic() >= until:
                    raise self._refused(f"none came free within {self._timeout:g} s")
                line.serve()
        except BaseException:
            if waiter.error is None:
                line.leave(waiter)
            raise
        return waiter.record

    def _connect(self, until: float, record: Any = None) -> Any:
        line, began = self._line, monotonic()
        try:
            self._look_after()  # in this loop, too: connections of another are of no use here
            if record is None:
                record = line.place() or _ConnectionRecord(self, connect=False)
            self._ready.connect(record, until)
        except BaseException as error:
            now = monotonic()
            # Who had little time left when its turn came knows nothing of the server.
            fair = isinstance(error, Exception) and (
                not isinstance(error, exc.TimeoutError) or now - began >= self._timeout / 2
            )
            line.failed(error if fair else None, record, now - began)
            raise
        line.connected()
        return record

    def _refused(self, what: str) -> exc.TimeoutError:
        line, holders = self._line, described(self._out.copy().values(), monotonic())
        return exc.TimeoutError(
            f"no connection: {what}; {line.busy} of {line.limit} are in use (at most {self.cap()}), "
            f"{len(line.waiters):,} waiting. Held longest: {holders}",
            code="3o7r",
        )

    def _do_return_conn(self, record: Any) -> None:  # a ConnectionPoolEntry
        now, line = monotonic(), self._line
        holder = self._out.pop(record, None)
        if holder is None:  # of a parent process
            forks.keep(record)
            return
        if self._leaks.open:
            self._leaks.returned(record, holder, now)
        held = now - holder[0]
        record._dbperf_used = now
        if record.dbapi_connection is None:
            line.drop(record, held)
        elif now > record._dbperf_expires or not line.give(record, held):
            try:
                self._ready.close(record)
            finally:
                line.drop(record, held)

    def _look_after(self) -> None:
        if not self._looked_after:
            self._control.begin()
        self._looked_after = True
        self._ways.keeper.look_after(self, TICK)

    def _queue(self, length: int) -> None:
        """There is a queue, of this length: do not let a new one wait for the next tick."""
        if length > self._options.max_waiting:
            self.metrics.pool["refused"] += 1
            raise self._refused(f"{length - 1:,} wait already, and no more may")
        if not self._hurried:
            self._look_after()
            self._hurried = True
            self._ways.keeper.look_after(self, _HURRY)

    def tick(self, lag: float) -> float | None:
        """Look how the pool does, and change what is to change; called by the housekeeper alone."""
        try:
            return self._tick(lag)
        except Exception as failure:  # noqa: BLE001
            # The pool goes on as it is, which is what a pool without a controller does.
            self.metrics.pool["failures"] += 1
            LOG.warning("the pool is not looked after any more: %s", type(failure).__name__, exc_info=failure)
            return None

    def _tick(self, lag: float) -> float | None:
        if not self._looked_after:  # nobody uses it
            self._chores.start()
            return self._chores.pause()
        held = held_now(self._out.copy().items())
        seen = self._control.look(held, lag)
        self._leaks.look(held, seen.seconds)
        self.metrics.pool[f"cap.{self.cap_of()}"] += round(seen.seconds * 1000)
        if spared := self._ready.newly_spared():
            self.metrics.pool["spared_pings"] += spared
        self._chores.start()
        self._hurried = seen.waiting > 0
        if seen.busy or seen.waiting or seen.arrivals:
            return _STALLED if self._control.stalled else TICK
        self._looked_after = False
        return self._chores.pause()

    def recreate(self) -> Pool:
        self.logger.info("Pool recreating")
        new = self.__class__(
            self._creator,
            **{each.name: getattr(self._options, each.name) for each in fields(self._options)},
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            _dispatch=self.dispatch,
            _metrics=self.metrics,
            dialect=self._dialect,
        )
        new._chores.share = self._chores.share  # until the server is asked again
        return new

    def dispose(self) -> None:
        until = monotonic() + _GOODBYE
        self._chores.stop()
        for record in self._line.empty():
            self._ready.close(record, max(until - monotonic(), 0.0))
        self.logger.info("Pool disposed. %s", self.status())

    def status(self) -> str:
        return (
            f"Pool size: {self.size()}  Connections in pool: {self.checkedin()} "
            f"Current Overflow: {self.overflow()} Current Checked out connections: {self.checkedout()} "
            f"Limit: {self._line.limit} of at most {self.cap()} Waiting: {len(self._line.waiters)}"
        )

    def size(self) -> int:
        return self._line.limit if self._options.pool_size is None else self._options.pool_size

    def timeout(self) -> float | None:
        return self._options.timeout

    def checkedin(self) -> int:
        return len(self._line.idle)

    def overflow(self) -> int:
        return self._line.open - self.size() if self.size() else 0

    def checkedout(self) -> int:
        return self._line.busy

    def forked(self) -> list[Any]:
        """Start empty in a forked child. Returns what is the parent's: it must not even be closed here."""
        inherited = [*self._line.idle, *self._out]
        record: Any
        for record in self._out:
            # Else the collector would have SQLAlchemy roll back, on the parent's socket.
            record.fairy_ref = None
        self._start()
        self.metrics.clear()
        return inherited


class AsyncAdaptivePool(AdaptivePool):
    """AdaptivePool for asyncio engines."""

    _is_asyncio = True
    _dialect = _AsyncConnDialect()
    _ways = OF_COROUTINES
