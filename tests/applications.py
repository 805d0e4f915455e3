"""Programs that use an engine with one of our pools, in threads or in tasks: alike to the test.

Or with SQLAlchemy's own, to compare with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine, exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool
from sqlalchemy.util.concurrency import greenlet_spawn

from dbperf.pool import AdaptivePool, AsyncAdaptivePool

T = TypeVar("T")
DRIVERS = {"psycopg": "psycopg", "psycopg_async": "psycopg", "asyncpg": "asyncpg"}
"""Each kind of program, and its driver."""
PID = text("SELECT pg_backend_pid()")


@dataclass(frozen=True, slots=True)
class Application:
    """`engine` is SQLAlchemy's for threads, used from the tasks of `runner` where there is one."""

    engine: Engine
    runner: asyncio.Runner | None

    @property
    def pool(self) -> Any:
        return self.engine.pool

    def do(self, work: Callable[[Engine], T]) -> T:
        """Once, in a thread or a task."""
        return self.at_once(work, 1)[0]

    def at_once(self, work: Callable[[Engine], T], count: int) -> list[T]:
        """So many at once."""
        if self.runner is None:
            with ThreadPoolExecutor(count) as threads:
                return list(threads.map(lambda _: work(self.engine), range(count)))

        async def tasks() -> list[T]:
            return await asyncio.gather(*(greenlet_spawn(work, self.engine) for _ in range(count)))

        return self.runner.run(tasks())

    def pids(self, count: int) -> list[int]:
        """The server's process of each of so many connections, checked out together."""

        def taken(engine: Engine) -> list[int]:
            with ExitStack() as stack:
                connections = [stack.enter_context(engine.connect()) for _ in range(count)]
                return [each.execute(PID).scalar_one() for each in connections]

        return self.do(taken)

    def dispose(self) -> None:
        """Close all idle connections."""
        self.do(lambda engine: engine.dispose())

    def close(self) -> None:
        """And run no more."""
        self.dispose()
        if self.runner is not None:
            self.runner.close()


def application(kind: str, url: URL, *, plain: bool = False, **options: Any) -> Application:
    """A program of this kind, with our pool or SQLAlchemy's (`plain`).

    The URL's driver is set here, `options` go to create_engine.
    """
    url = url.set(drivername=f"postgresql+{DRIVERS[kind]}")
    if kind == "psycopg":
        pool = QueuePool if plain else AdaptivePool
        return Application(create_engine(url, poolclass=pool, **options), None)
    async_pool = AsyncAdaptedQueuePool if plain else AsyncAdaptivePool
    engine = create_async_engine(url, poolclass=async_pool, **options)
    return Application(engine.sync_engine, asyncio.Runner())


def checkout(engine: Engine) -> tuple[BaseException | None, float]:
    """Check a connection out and return it; how that failed, and after how many seconds it was over."""
    begin = time.monotonic()
    try:
        engine.connect().close()
    except Exception as error:  # noqa: BLE001  for the test to judge
        return error, time.monotonic() - begin
    return None, time.monotonic() - begin


def assert_times_out(app: Application, timeout: float, count: int) -> None:
    """So many checkouts at once fail by their deadline, and not before half of it."""
    for error, seconds in app.at_once(checkout, count):
        assert isinstance(error, exc.TimeoutError), error
        assert timeout / 2 <= seconds <= timeout * 1.25  # 1.1 is meant, but machines are loaded


def assert_works_again(app: Application, within: float) -> None:
    """A checkout works before so many seconds are over."""
    begin = time.monotonic()
    while app.do(checkout)[0] is not None:
        assert time.monotonic() - begin < within


def assert_nothing_lost(app: Application, size: int) -> None:
    """Every permit of a pool of this size is there, each with a connection of its own."""
    line = app.pool._line
    assert (line.busy, line.connecting, len(line.waiters)) == (0, 0, 0)
    assert len(set(app.pids(size))) == size
    assert line.busy == 0
