"""One thread of the process that interrupts connections whose block is not over by its deadline."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from time import monotonic
from typing import Any, Self

from dbperf.pool.drivers import interrupt


class Guard:
    """`with Guard(connection, deadline) as guard:`; `fired` says that the connection was interrupted."""

    __slots__ = ("connection", "deadline", "fired")

    def __init__(self, connection: Any, deadline: float) -> None:
        self.connection, self.deadline, self.fired = connection, deadline, False

    def __enter__(self) -> Self:
        _watchdog.watch(self)
        return self

    def __exit__(self, *exception: object) -> None:
        with _watchdog.changed:  # what fires holds it too: nothing is interrupted after the block
            self.connection = None


class _Watchdog:
    def __init__(self) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.heap: list[tuple[float, int, Guard]] = []
        self.numbers = itertools.count()
        self.thread: threading.Thread | None = None

    def watch(self, guard: Guard) -> None:
        with self.changed:
            heapq.heappush(self.heap, (guard.deadline, next(self.numbers), guard))
            if self.thread is None:
                self.thread = threading.Thread(target=self.run, name="dbperf-watchdog", daemon=True)
                self.thread.start()
            elif self.heap[0][2] is guard:
                self.changed.notify()

    def run(self) -> None:
        with self.changed:
            while True:
                while self.heap and (self.heap[0][2].connection is None or self.heap[0][0] <= monotonic()):
                    guard = heapq.heappop(self.heap)[2]
                    if guard.connection is not None:
                        guard.fired = interrupt(guard.connection)
                self.changed.wait(self.heap[0][0] - monotonic() if self.heap else None)


def _in_child() -> None:
    global _watchdog
    _watchdog = _Watchdog()


_watchdog = _Watchdog()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
