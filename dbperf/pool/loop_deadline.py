"""The deadlines of `deadline` and `watchdog` for a coroutine, in a greenlet of SQLAlchemy's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic
from traceback import clear_frames
from typing import Any, Self, TypeVar

from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from dbperf.pool.deadline import DeadlineExceeded
from dbperf.pool.drivers import interrupt

T = TypeVar("T")


def within(deadline: float, call: Callable[[], T], discard: object, calls: object) -> T:  # noqa: ARG001
    """Call, in this task and context. Raises DeadlineExceeded at the deadline, of time.monotonic().

    `discard` and `calls` are for threads, whose calls may come late: here nothing does, a call is cancelled.
    """
    return await_only(_within(deadline, call))


async def _within(deadline: float, call: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + deadline - monotonic()) as limit:
            return await greenlet_spawn(call)
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded("not connected by the deadline") from None
        raise
    except BaseException as error:
        # psycopg's half-open connection is in a frame that a cycle of SQLAlchemy's greenlet keeps.
        clear_frames(error.__traceback__)
        raise


class Guard:
    """`with Guard(connection, deadline) as guard:`; `fired` says that the connection was interrupted."""

    __slots__ = ("_connection", "_deadline", "_timer", "fired")

    def __init__(self, connection: Any, deadline: float) -> None:
        self._connection, self._deadline, self.fired = connection, deadline, False

    def __enter__(self) -> Self:
        self._timer = (
            asyncio.get_running_loop().call_later(max(self._deadline - monotonic(), 0.0), self._fire)
            if self._deadline < inf
            else None
        )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _fire(self) -> None:
        self.fired = interrupt(self._connection)
