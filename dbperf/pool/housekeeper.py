"""Who looks after the pools, some times a second while anything happens: a thread, or each event loop itself.

A pool asks for it (`look_after`) and is forgotten when it goes. What may take long (closing, validating,
asking the server) runs beside it: in a thread of its own, or a task.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from sqlalchemy.util.concurrency import greenlet_spawn


class Looked(Protocol):
    """What is looked after."""

    def tick(self, lag: float) -> float | None:
        """Look, and do what takes no time. Seconds until the next look; None: not until it asks again.

        `lag`: seconds that the look came later than asked for.
        """


class Keeper(Protocol):
    """Who looks after pools."""

    def look_after(self, pool: Looked, after: float = 0.0) -> None:
        """Tick this pool from now on, first in `after` seconds; sooner, if it is being ticked already."""

    def beside(self, work: Callable[[], None]) -> None:
        """Run what may take long."""


_Timer = tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle]


class Threads:
    """One daemon thread for the pools of all threads."""

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        """A child has no thread, and another may have held the lock for ever."""
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._due: dict[weakref.ref[Looked], float] = {}
        self._thread: threading.Thread | None = None

    def look_after(self, pool: Looked, after: float = 0.0) -> None:
        at = monotonic() + after
        with self._lock:
            key = weakref.ref(pool)
            self._due[key] = min(at, self._due.get(key, at))
            if self._thread is None:
                self._thread = _started(self._run, "dbperf-pools")
        self._bell.set()

    def beside(self, work: Callable[[], None]) -> None:
        if _started(work, "dbperf-pool-chores") is None:
            work()

    def _run(self) -> None:
        while True:
            now = monotonic()
            with self._lock:
                due = [(key, at) for key, at in self._due.items() if at <= now]
                for key, _ in due:
                    del self._due[key]
            for key, at in due:
                if (pool := key()) is not None and (again := pool.tick(now - at)) is not None:
                    self.look_after(pool, again)
            del due
            pool = None  # else the thread would keep it
            with self._lock:
                soonest = min(self._due.values(), default=None)
                self._bell.clear()
            self._bell.wait(None if soonest is None else max(soonest - monotonic(), 0.0))


class Loops:
    """Timers of the event loop that runs the pool's checkouts; they go when it is closed."""

    def __init__(self) -> None:
        self._timers: weakref.WeakKeyDictionary[Looked, _Timer] = weakref.WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def forked(self) -> None:
        """The child's loops are others."""
        self._timers.clear()
        self._tasks.clear()

    def look_after(self, pool: Looked, after: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + after
        if (known := self._timers.get(pool)) is not None:
            its_loop, timer = known
            if its_loop is loop and timer.when() <= at:
                return
            timer.cancel()
        self._timers[pool] = loop, loop.call_at(at, self._tick, weakref.ref(pool), at)

    def beside(self, work: Callable[[], None]) -> None:
        async def run() -> None:
            await greenlet_spawn(work)

        task = asyncio.get_running_loop().create_task(run(), name="dbperf-pool-chores")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tick(self, key: weakref.ref[Any], at: float) -> None:
        pool = key()
        if pool is not None:
            self._timers.pop(pool, None)
            if (again := pool.tick(asyncio.get_running_loop().time() - at)) is not None:
                self.look_after(pool, again)


def _started(work: Callable[[], None], name: str) -> threading.Thread | None:
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads may be started; a pool that nobody looks after is a pool still
        return None
    return thread


THREADS, LOOPS = Threads(), Loops()


def _forked() -> None:
    THREADS.forked()
    LOOPS.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
