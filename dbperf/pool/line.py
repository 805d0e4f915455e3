"""Who may hold a connection, in which order: permits up to a limit, and a line of waiters.

A checkout takes a permit, and with it an idle connection or the right to open one. What comes back goes to
who waits longest; nobody overtakes (FIFO), while of idle connections the one used last is taken first (LIFO).
The limit says how many may be in use; connections beyond it stay open, parked among the idle ones.

Knows neither SQLAlchemy nor how one waits. Every method takes the lock by itself and blocks for nothing else.
A garbage collector's finalizer may return a connection in the middle of any of them, in the same thread:
hence an RLock, and `_serve`, the only place where a permit is handed to a waiter, does not enter itself.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from threading import RLock
from time import monotonic
from typing import Any, Protocol

Record = Any
"""SQLAlchemy's `_ConnectionRecord`: a place in the pool, with a connection or without."""

PARALLEL = 8
"""Connections that are opened at once. After one could not be opened, one, until one could."""
_COSTLY, _FIRST_RETRY = 4.0, 0.05
"""After a failed connect the next is tried in so many times what it took: where nobody listens that is next
to nothing, and a server that refuses has worked for it. In so many seconds at most: one that never answered
has not.
"""
_PATIENT, _LAST_RETRY = 0.02, 1.0
"""Or in this share of the time since the first that failed, if that is more; in so many seconds at most."""


class Waiter(Protocol):
    """One who waits; `record`, `granted` and `error` are set by the line, under its lock."""

    since: float
    granted: bool
    record: Record | None
    error: BaseException | None

    def wake(self) -> None:
        """Have it look what was set, or `retry_at`, from whatever thread; must not block. Under the lock."""


class Line:
    """The permits of one pool.

    `keep`: idle connections beyond that many are not kept; None keeps all. `limit` may change at any time
    (`resize`).
    """

    def __init__(self, limit: int, *, lifo: bool, keep: int | None) -> None:
        self.lock = RLock()
        self.limit, self.keep = limit, keep
        self.idle: deque[Record] = deque()
        self._next = self.idle.pop if lifo else self.idle.popleft
        self.spare: list[Record] = []
        """Places whose connection was closed: the next to be opened takes one."""
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.busy = 0
        self.connecting = 0
        self.peak = 0
        self.arrivals = 0
        self.returned = 0
        self.held = 0.0
        self.waited = 0.0
        self.failing: float | None = None
        """Since when connections cannot be opened, of monotonic()."""
        self.retry_at = 0.0
        self._serving = False

    @property
    def open(self) -> int:
        """Connections that are open, or just being opened."""
        return self.busy + len(self.idle)

    def take(self) -> Record | None:
        """An idle connection, where one may be had without waiting."""
        with self.lock:
            self.arrivals += 1
            if self.idle and self.busy < self.limit and not self.waiters:
                self.busy = busy = self.busy + 1
                if busy > self.peak:
                    self.peak = busy
                return self._next()
        return None

    def join(self, waiter: Waiter, *, first: bool = False) -> bool:
        """Stand at the end of the line, or, who stood in it before, at its beginning. True where nothing is
        waited for.
        """
        with self.lock:
            self.waiters[waiter] = None
            if first:
                self.waiters.move_to_end(waiter, last=False)
            self._serve()
            return waiter.granted

    def leave(self, waiter: Waiter) -> None:
        """Stop waiting; what was granted meanwhile goes to the next one."""
        with self.lock:
            if not waiter.granted:
                self.waiters.pop(waiter, None)
                self.waited += monotonic() - waiter.since
            elif waiter.record is None:
                self.connecting -= 1
                self._free()
            else:
                self._back(waiter.record)

    def give(self, record: Record, held: float = 0.0) -> bool:
        """Take a connection back, for the next one in the line, after `held` seconds. False: it is not to be
        kept, and the permit stays until `drop`.
        """
        with self.lock:
            if self.keep is not None and len(self.idle) >= self.keep and not self._wanted():
                return False
            self.held += held
            self.returned += 1
            self.idle.append(record)
            self.busy -= 1
            if self.waiters:
                self._serve()
            return True

    def drop(self, place: Record | None = None, held: float = 0.0) -> None:
        """Give a permit back whose connection is closed; `place` is kept to open another in."""
        with self.lock:
            self.held += held
            if held:
                self.returned += 1
            if place is not None and len(self.spare) < self.limit:
                self.spare.append(place)
            self._free()

    def reopen(self) -> bool:
        """Open another connection with a permit whose own is closed. False: no more may be opened now."""
        with self.lock:
            if not self._may_connect():
                return False
            self.connecting += 1
            return True

    def place(self) -> Record | None:
        """A place whose connection was closed, to open another in."""
        with self.lock:
            return self.spare.pop() if self.spare else None

    def connected(self) -> None:
        """What the permit was granted for without a connection has one now."""
        with self.lock:
            self.connecting -= 1
            self.failing, self.retry_at = None, 0.0
            self._serve()

    def failed(self, error: BaseException | None, place: Record | None, took: float) -> None:
        """It could not be opened, after `took` seconds: the permit goes back.

        With an `error` of the database others wait a little before they try: those who wait are woken, to see
        until when. Where no connection is left that could come back, those who waited when this attempt began
        get that error now: each would find out the same, one by one.
        """
        with self.lock:
            self.connecting -= 1
            if error is not None:
                now = monotonic()
                if self.failing is None:
                    self.failing = now - took
                costly, patient = _COSTLY * took, _PATIENT * (now - self.failing)
                delay = max(min(costly, _FIRST_RETRY), min(patient, _LAST_RETRY))
                # Half of it at random, so that processes do not come back all together.
                self.retry_at = now + delay * random.uniform(0.5, 1.0)  # noqa: S311  no secret
                if self.busy == 1 and not self.idle:
                    self._refuse(error, now - took)
            self.drop(place)
            if error is not None:
                for waiter in list(self.waiters):
                    waiter.wake()

    def serve(self) -> None:
        """Hand out what may be: for who waited until `retry_at`."""
        with self.lock:
            self._serve()

    def resize(self, limit: int) -> None:
        """Change how many may be in use. Those who are above keep theirs."""
        with self.lock:
            self.limit = limit
            self._serve()

    def borrow(self, record: Record) -> bool:
        """Take this idle connection out for the pool's own purposes; False where it is wanted, or gone."""
        with self.lock:
            if self.busy >= self.limit or self.waiters or record not in self.idle:
                return False
            self.idle.remove(record)
            self.busy += 1
            return True

    def shed(self, record: Record) -> bool:
        """Take this idle connection out to be closed, which needs no permit; False where it is gone."""
        with self.lock:
            if record not in self.idle:
                return False
            self.idle.remove(record)
            return True

    def unborrow(self, record: Record) -> None:
        """Put it back, behind those that were in use since."""
        with self.lock:
            self.idle.appendleft(record)
            self._free()

    def queued(self, now: float) -> float:
        """Seconds that were waited so far, by all: those who still wait among them."""
        with self.lock:
            return self.waited + sum(now - each.since for each in self.waiters)

    def empty(self) -> list[Record]:
        """Take all idle connections out, to be closed."""
        with self.lock:
            taken = list(self.idle)
            self.idle.clear()
            self.spare.clear()
            return taken

    def _wanted(self) -> bool:
        return bool(self.waiters) and self.busy <= self.limit

    def _back(self, record: Record) -> None:
        self.idle.append(record)
        self._free()

    def _free(self) -> None:
        self.busy -= 1
        self._serve()

    def _may_connect(self) -> bool:
        if self.failing is not None:
            return self.connecting < 1 and monotonic() >= self.retry_at
        return self.connecting < PARALLEL

    def _serve(self) -> None:
        while not self._serving and self.waiters and self.busy < self.limit:
            self._serving = True
            try:
                served = self._serve_one()
            finally:
                self._serving = False
            if not served and not self.idle:  # one may have come back while it was found that none was there
                return

    def _serve_one(self) -> bool:
        if self.idle:
            record = self._next()
        elif self._may_connect():
            record = None
            self.connecting += 1
        else:
            return False
        self.busy = busy = self.busy + 1
        if busy > self.peak:
            self.peak = busy
        self._grant(record)
        return True

    def _grant(self, record: Record | None) -> None:
        waiter, _ = self.waiters.popitem(last=False)
        self.waited += monotonic() - waiter.since
        waiter.record = record
        waiter.granted = True
        waiter.wake()

    def _refuse(self, error: BaseException, began: float) -> None:
        while self.waiters and next(iter(self.waiters)).since <= began:
            waiter, _ = self.waiters.popitem(last=False)
            self.waited += monotonic() - waiter.since
            waiter.error = error
            waiter.wake()
