"""The pool wrap: how long was waited for a connection, to connect and to ping it, and how long it was held.

Ours stand before the hooks of SQLAlchemy's `Pool` as attributes of the instance; a pool that takes its place
when the engine is disposed is wrapped in turn.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import Pool

from dbperf.capture.poolcounts import PoolCounts
from dbperf.capture.recorder import Recorders
from dbperf.capture.scope import Checkout
from dbperf.capture.settled import settle
from dbperf.capture.wrapping import leave_no_frame, replaced

Connected = dict[int, tuple[int, int]]
"""By the identity of a pool's record: when connecting it began last, and how long that took."""


@dataclass(slots=True)
class PoolState:
    """What is known of a pool, without holding on to it: its class, which connections are in use, and what
    it counts itself.
    """

    name: str = ""
    out: set[Checkout] = field(default_factory=set)
    counts: PoolCounts = field(default_factory=PoolCounts)
    _pool: Callable[[], Pool | None] = lambda: None
    _limit: int = 0

    def see(self, pool: Pool) -> None:
        """Know a pool from now on."""
        self.name, self._pool = type(pool).__name__, weakref.ref(pool)
        self.counts.watch(pool)

    @property
    def limit(self) -> int:
        """Connections that may be in use, 0 where that has no limit. It may change as long as the pool is
        there: the server's connections are shared by all processes that there are.
        """
        if (pool := self._pool()) is not None:
            self._limit = _limit(pool)
        return self._limit


class PoolWatch:
    """What is wrapped of an engine's pools."""

    def __init__(
        self, state: PoolState, recorders: Recorders, closed: Sized, give_up: Callable[[Exception], None]
    ) -> None:
        self._state, self._recorders = state, recorders
        self._closed, self._give_up = closed, give_up
        self._unwrap: Callable[[], None] = lambda: None

    def wrap(self, pool: Pool) -> None:
        """Watch a pool from now on. One before goes on being watched: connections will be returned to it."""
        self._state.see(pool)
        connected: Connected = {}
        self._unwrap = replaced(
            pool,
            {
                "_do_get": self._do_get(pool._do_get, connected),
                "_do_return_conn": self._do_return_conn(pool._do_return_conn),
                "_invoke_creator": self._invoke_creator(pool._invoke_creator, connected),
                "recreate": self._recreate(pool.recreate),
            },
        )

    def unwrap(self) -> None:
        """Take everything off the pool again."""
        self._unwrap()
        self._state.counts.close()

    def _do_get(self, original: Callable[[], Any], connected: Connected) -> Callable[[], Any]:
        recorders, out, clock = self._recorders, self._state.out, perf_counter_ns

        def _do_get() -> Any:
            started = clock()
            try:
                record = original()
            except BaseException as error:
                self._refused(clock() - started, error)
                leave_no_frame(error)
                raise
            now = clock()
            if self._closed:
                return record
            try:
                before = vars(record).get("_dbperf")
                if before is not None:
                    if before.started >= started:
                        return record  # QueuePool calls itself again, and has been counted
                    out.discard(before)  # a pool of one connection hands it out twice
                    if before.noticed:
                        settle(before)
                waited = now - started
                if connected:
                    when, spent = connected.pop(id(record), (0, 0))
                    if when > started:  # and not when it was recycled after an earlier checkout
                        waited = when - started
                        # Behind the driver's call SQLAlchemy and listeners make the connection ready.
                        recorders.mine().connect.more_ns += now - when - spent
                checkout = record._dbperf = Checkout(now, waited, before)
                out.add(checkout)
                mine = recorders.mine()
                mine.wait.add(waited)
                busy = len(out)
                mine.busy[busy] = mine.busy.get(busy, 0) + 1
            except Exception as failure:  # noqa: BLE001  an observer never raises
                self._give_up(failure)
            return record

        return _do_get

    def _refused(self, waited: int, error: BaseException) -> None:
        try:
            mine = self._recorders.mine()
            mine.wait.more_ns += waited
            if isinstance(error, PoolTimeout):
                mine.timeouts += 1
        except Exception as failure:  # noqa: BLE001  an observer never raises
            self._give_up(failure)

    def _do_return_conn(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        recorders, out, clock = self._recorders, self._state.out, perf_counter_ns

        def _do_return_conn(record: Any) -> None:
            checkout = vars(record).pop("_dbperf", None)
            if checkout is not None and not self._closed:
                try:
                    held = clock() - checkout.started
                    out.discard(checkout)
                    if checkout.outer is not None:
                        record._dbperf = checkout.outer
                        out.add(checkout.outer)
                    mine = recorders.mine()
                    mine.held.add(held)
                    if checkout.raw:
                        mine.raw.add(held)
                    if checkout.noticed:
                        settle(checkout)
                except Exception as failure:  # noqa: BLE001  an observer never raises
                    self._give_up(failure)
            original(record)

        return _do_return_conn

    def _invoke_creator(self, original: Callable[[Any], Any], connected: Connected) -> Callable[[Any], Any]:
        def _invoke_creator(record: Any) -> Any:
            started = perf_counter_ns()
            try:
                connection = original(record)
            except BaseException as error:
                self._connected(None)
                leave_no_frame(error)
                raise
            spent = perf_counter_ns() - started
            if not self._closed:
                connected[id(record)] = started, spent
                self._connected(spent)
            return connection

        return _invoke_creator

    def _connected(self, nanoseconds: int | None) -> None:
        try:
            timer = self._recorders.mine().connect
            if nanoseconds is None:
                timer.errors += 1
            else:
                timer.add(nanoseconds)
        except Exception as failure:  # noqa: BLE001  an observer never raises
            self._give_up(failure)

    def _recreate(self, original: Callable[[], Pool]) -> Callable[[], Pool]:
        def recreate() -> Pool:
            pool = original()
            if not self._closed:
                self.wrap(pool)
            return pool

        return recreate


def _limit(pool: Any) -> int:
    """Connections a pool may have open; 0 where there is no limit or it is not known."""
    if callable(cap := getattr(pool, "cap", None)):  # of a pool that sizes itself
        return max(int(cap()), 0)
    size, more = getattr(pool, "size", None), getattr(pool, "_max_overflow", 0) or 0
    if not callable(size) or more < 0:
        return 0
    limit: int = size() + more if hasattr(pool, "_max_overflow") else 0
    return limit if size() else 0
