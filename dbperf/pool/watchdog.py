"""One thread of the process that interrupts connections whose block is not over by its deadline.

A garbage collector's finalizer may enter a guard in the middle of whatever this does, in the same thread:
so nothing here is guarded by a lock that entering takes. What several threads share are one dict, of which
only single operations are used, and a SimpleQueue, whose `put` may interrupt itself.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Self

from dbperf.pool.drivers import interrupt


class Guard:
    """`with Guard(connection, deadline) as guard:`; `fired` says that the connection was interrupted."""

    __slots__ = ("connection", "deadline", "fired", "firing")

    def __init__(self, connection: Any, deadline: float) -> None:
        self.connection, self.deadline, self.fired = connection, deadline, False
        self.firing: threading.Lock | None = None

    def __enter__(self) -> Self:
        _watchdog.watch(self)
        return self

    def __exit__(self, *exception: object) -> None:
        # Who takes it out of the dict has it: if that was the watchdog, it may just be interrupting, and
        # nothing must be interrupted after the block.
        if _watchdog.guards.pop(self, None) is None and self.firing is not None:
            with self.firing:
                pass
        self.connection = None


class _Watchdog:
    def __init__(self) -> None:
        self.guards: dict[Guard, Guard] = {}
        self.bell: SimpleQueue[None] = SimpleQueue()
        self.looks_at = inf
        """When it looks next unless the bell rings; infinite also while it looks."""
        self.started = threading.Lock()  # held for ever by the one who starts the thread

    def watch(self, guard: Guard) -> None:
        if guard.deadline == inf:
            return
        if self.started.acquire(blocking=False):
            try:
                threading.Thread(target=self.run, name="dbperf-watchdog", daemon=True).start()
            except RuntimeError:  # no more threads may be started: the interpreter ends
                self.started.release()
                return
            except BaseException:
                self.started.release()
                raise
        self.guards[guard] = guard
        if guard.deadline < self.looks_at:
            self.bell.put(None)

    def run(self) -> None:
        while True:
            self.looks_at = inf  # who comes from now on rings, and is seen the next time
            now = monotonic()
            for guard in list(self.guards):
                if guard.deadline <= now:
                    self.fire(guard)
            soonest = min((each.deadline for each in list(self.guards)), default=inf)
            self.looks_at = soonest
            with suppress(Empty):
                self.bell.get(timeout=min(max(soonest - monotonic(), 0.0), 1e6))
                while True:  # until it is silent: one look is enough for all who rang
                    self.bell.get_nowait()

    def fire(self, guard: Guard) -> None:
        guard.firing = threading.Lock()
        with guard.firing:
            if self.guards.pop(guard, None) is not None:
                guard.fired = interrupt(guard.connection)


def _in_child() -> None:
    global _watchdog
    _watchdog = _Watchdog()


_watchdog = _Watchdog()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
