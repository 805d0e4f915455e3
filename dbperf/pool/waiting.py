"""How one waits in line for a connection: a thread, or a coroutine of an event loop."""

from __future__ import annotations

import asyncio
from threading import Lock, get_ident
from time import monotonic
from typing import Any

from sqlalchemy.util.concurrency import await_only


class Thread:
    """A thread that waits."""

    __slots__ = ("_bell", "error", "granted", "record", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.granted = False
        self.record: Any = None
        self.error: BaseException | None = None
        self._bell = Lock()
        self._bell.acquire()

    def wait(self, until: float) -> None:
        """Until woken or `until`, of monotonic()."""
        self._bell.acquire(timeout=min(max(until - monotonic(), 0.0), 1e6))

    def wake(self) -> None:
        """Under the line's lock: nobody else rings meanwhile."""
        if self._bell.locked():  # else it was woken before, and has yet to look
            self._bell.release()


class Coroutine:
    """A coroutine that waits, in a greenlet of SQLAlchemy's."""

    __slots__ = ("_future", "_loop", "_thread", "error", "granted", "record", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.granted = False
        self.record: Any = None
        self.error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wait(self, until: float) -> None:
        """Until woken or `until`, of monotonic(). Raises CancelledError."""
        timer = self._loop.call_later(max(until - monotonic(), 0.0), self._ring) if until < 1e12 else None
        try:
            await_only(self._future)
        finally:
            if timer is not None:
                timer.cancel()
            if not self.granted and self.error is None:
                self._future = self._loop.create_future()  # it may wait once more

    def wake(self) -> None:
        """From another thread where a garbage collector there returned a connection."""
        if get_ident() == self._thread:
            self._ring()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if not self._future.done():
            self._future.set_result(None)
