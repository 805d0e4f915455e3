"""A storm of cancelled, timed out and refused checkouts: whatever each of them was doing, nothing leaks.

500 by each driver; 10,000 with DBPERF_TESTS_WHOLE=1 in the environment.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbperf.embedded import Server
from dbperf.pool import AsyncAdaptivePool

INTERRUPTED = 10_000 if os.environ.get("DBPERF_TESTS_WHOLE") else 500
SIZE = 3
TASKS = 12
PHASES = ("waiting", "connecting", "pinging", "holding", "returning")
NAME = "storm"
_phases: dict[Any, str] = {}
"""What each task entered last."""


def enters(phase: str) -> None:
    _phases[asyncio.current_task()] = phase


class Watched(AsyncAdaptivePool):
    """Says what a checkout is doing."""

    def __init__(self, creator: Any, **kw: Any) -> None:
        super().__init__(creator, **kw)
        answers = self._ready.answers

        def pinging(record: Any, within: float) -> bool:
            enters("pinging")
            return answers(record, within)

        self._ready.answers = pinging  # type: ignore[method-assign]

    def _wait(self, *args: Any, **kw: Any) -> Any:
        enters("waiting")
        return super()._wait(*args, **kw)

    def _connect(self, *args: Any) -> Any:
        enters("connecting")
        return super()._connect(*args)


class Storm:
    """Tasks that use an engine, and are interrupted where that happened least often so far."""

    def __init__(self, engine: AsyncEngine, seed: int) -> None:
        self.engine, self.random = engine, random.Random(seed)
        self.landed: Counter[str] = Counter()
        self.used = 0
        self.wrong: list[str] = []
        self.timeouts: dict[Any, asyncio.Timeout] = {}

    async def use(self) -> None:
        """One use after another, until one is interrupted; where that was is counted."""
        me = asyncio.current_task()
        try:
            async with asyncio.timeout(None) as self.timeouts[me]:
                while True:
                    await self.use_once()
                    self.used += 1
        except (asyncio.CancelledError, TimeoutError):
            self.landed[_phases[me]] += 1
        except Exception as error:  # noqa: BLE001  its traceback is thousands of lines long
            self.wrong.append(f"{_phases[me]}: {error}")
        finally:
            del self.timeouts[me], _phases[me]

    async def use_once(self) -> None:
        enters("arriving")
        if self.random.random() < 0.5:
            async with self.engine.connect() as connection:  # which is closed in a task of its own, shielded
                enters("holding")
                await connection.execute(sa.text("SELECT 1"))
                enters("returning")
            return
        connection = await self.engine.connect()
        try:
            enters("holding")
            await connection.execute(sa.text("SELECT 1"))
            enters("returning")
        finally:
            await connection.close()

    def is_over(self, times: int) -> bool:
        """Whether so many were interrupted, a fiftieth of that in each phase; or 20 times as many in all."""
        rarest = min(self.landed[phase] for phase in PHASES)
        return self.landed.total() >= times * (1 if rarest >= times / 50 else 20)

    async def blow(self, times: int) -> None:
        tasks: set[asyncio.Task[None]] = set()
        while not self.is_over(times):
            while len(tasks) < TASKS:
                tasks.add(asyncio.create_task(self.use()))
            for _ in range(self.random.randrange(1, 40)):
                await asyncio.sleep(0)
            self.interrupt(tasks)
            tasks = {each for each in tasks if not each.done()}
            assert not self.wrong, self.wrong[0]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks)

    def interrupt(self, tasks: set[asyncio.Task[None]]) -> None:
        """Whoever is in the phase that was hit least, by cancellation or a timeout."""
        there = [each for each in tasks if not each.cancelling() and _phases.get(each) in PHASES]
        if not there:
            return
        least = min(self.landed[_phases[each]] for each in there)
        task = self.random.choice([each for each in there if self.landed[_phases[each]] == least])
        if self.random.random() < 0.5:
            task.cancel()
        elif not self.timeouts[task].expired():
            self.timeouts[task].reschedule(0.0)


def backends(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        (count,) = connection.execute(asked, [NAME]).fetchone() or (0,)
    return int(count)


async def comes_true(condition: Callable[[], bool]) -> None:
    """Servers take a moment to notice that a client is gone."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def nothing_is_out(pool: Any) -> bool:
    line = pool._line
    return not (pool.checkedout() or line.connecting or line.waiters or pool._out)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_whatever_is_interrupted_leaks_nothing(server: Server, database: str, driver: str) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)  # shown where it fails
    arguments = (
        {"application_name": NAME} if driver == "psycopg" else {"server_settings": {"application_name": NAME}}
    )

    async def run() -> None:
        engine = create_async_engine(
            server.url(driver, database),
            poolclass=Watched,
            pool_size=SIZE,
            max_overflow=0,
            pool_pre_ping=True,
            alive_bypass=0.0,
            connect_args=arguments,
        )
        storm = Storm(engine, seed)
        await storm.blow(INTERRUPTED)
        pool: Any = engine.pool
        # A connection that is closed in a task of its own is closed after its user was interrupted.
        await comes_true(lambda: nothing_is_out(pool))
        line = pool._line
        assert all(each.dbapi_connection is not None for each in line.idle)
        assert all(each.dbapi_connection is None for each in line.spare)
        # SQLAlchemy's adapter of psycopg keeps a connect that was cancelled in a cycle, open until collected.
        gc.collect()
        await comes_true(lambda: backends(server.dsn(database)) == line.open)
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            every = [await stack.enter_async_context(engine.connect()) for _ in range(line.limit)]
            pids = {await each.scalar(sa.text("SELECT pg_backend_pid()")) for each in every}
            assert len(pids) == line.limit == SIZE
            assert backends(server.dsn(database)) == SIZE
        assert nothing_is_out(pool)
        await engine.dispose()
        await comes_true(lambda: not backends(server.dsn(database)))
        print(storm.landed, storm.used)
        assert set(PHASES) <= {phase for phase, times in storm.landed.items() if times >= INTERRUPTED / 50}
        assert storm.used

    asyncio.run(run())


def test_a_connect_that_is_cancelled_is_closed_at_once(server: Server, database: str) -> None:
    async def run() -> None:
        engine = create_async_engine(
            server.url("psycopg", database),
            poolclass=Watched,
            pool_size=SIZE,
            max_overflow=0,
            connect_args={"application_name": NAME},
        )
        async with engine.connect() as connection:  # the first asks the server what it is
            await connection.invalidate()
        for _ in range(20):
            task = asyncio.create_task(engine.connect().start())
            while _phases.get(task) != "connecting" and not task.done():  # noqa: ASYNC110
                await asyncio.sleep(0)
            for _ in range(10):  # some way into it
                await asyncio.sleep(0)
            task.cancel()
            try:
                connection = await task
                await connection.invalidate()
                await connection.close()
            except asyncio.CancelledError:
                pass
        pool: Any = engine.pool
        deadline = time.monotonic() + 5
        while backends(server.dsn(database)) > pool._line.open:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await engine.dispose()

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
        gc.collect()


def test_checkouts_of_threads_that_time_out_leak_nothing(
    engine_of: Callable[..., sa.Engine], server: Server, database: str
) -> None:
    engine = engine_of(
        pool_size=2,
        max_overflow=0,
        pool_pre_ping=True,
        alive_bypass=0.0,
        connect_args={"application_name": NAME},
    )
    pool: Any = engine.pool

    def use(_: int) -> bool:
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT pg_sleep(0.01)"))
        except PoolTimeout:
            return False
        return True

    with engine.connect(), engine.connect():
        pass
    pool._timeout = 0.02  # from now on, so that it is waiting, not connecting, that takes too long
    with ThreadPoolExecutor(8) as threads:
        ended = Counter(threads.map(use, range(INTERRUPTED)))
    assert ended[False] >= INTERRUPTED / 10
    assert nothing_is_out(pool)
    asyncio.run(comes_true(lambda: backends(server.dsn(database)) == pool._line.open))
    pool._timeout = 20.0
    with engine.connect() as one, engine.connect() as other:
        assert {each.scalar(sa.text("SELECT 1")) for each in (one, other)} == {1}


def test_a_listener_that_is_cut_off_at_the_deadline_is_a_timeout(engine_of: Callable[..., sa.Engine]) -> None:
    engine = engine_of(pool_size=1, max_overflow=0, pool_timeout=20)
    engine.connect().close()
    engine.dispose()
    pool: Any = engine.pool
    pool._timeout = 0.3
    sa.event.listen(pool, "connect", lambda connection, _: connection.execute("SELECT pg_sleep(20)"))
    with pytest.raises(PoolTimeout):
        engine.connect()
    assert nothing_is_out(pool)
