"""Many threads and tasks at once: nothing is counted twice or lost, and nobody's connection is kept."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import dbperf
from dbperf.model.workload import Statement, Workload

Only = Callable[[Any, str], Statement]
THREADS, EACH = 8, 60
STORM = int(os.environ.get("DBPERF_TEST_STORM", "500"))
ASK = sa.text("select cast(:a as int) as asked")


def in_threads(work: Callable[[int], object]) -> None:
    """Run it in eight threads that begin together."""
    together = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        together.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check(workload: Workload, asked: Statement, failed: Statement) -> None:
    """Every thread ran each of its statements, of which one in ten failed, on a connection of its own."""
    calls = THREADS * EACH
    assert (asked.calls, asked.rows, asked.latency.count) == (calls, calls, calls)
    assert sum(site.calls for site in asked.call_sites) == calls
    assert (failed.calls, failed.errors) == (calls // 10, calls // 10)
    assert dict(asked.operations) == {f"thread {number}": EACH for number in range(THREADS)}
    operations = {each.name: (each.calls, each.statements) for each in workload.operations}
    assert operations == {f"thread {number}": (EACH, EACH + EACH // 10) for number in range(THREADS)}
    (pool,), (transactions,) = workload.pools, workload.transactions
    assert (pool.checkouts, pool.wait.count, pool.held.count) == (calls, calls, calls)
    assert (transactions.commits, transactions.rollbacks) == (calls - calls // 10, calls // 10)


def test_threads(postgres: sa.Engine, only: Only) -> None:
    def work(number: int) -> None:
        for each in range(EACH):
            with dbperf.track(f"thread {number}"), postgres.connect() as connection:
                connection.execute(ASK, {"a": each}).all()
                if each % 10:
                    connection.commit()
                else:
                    with pytest.raises(sa.exc.DBAPIError):
                        connection.execute(sa.text("select 1 / 0 as failed"))

    in_threads(work)
    check(dbperf.perf(postgres).workload(), only(postgres, "asked"), only(postgres, "failed"))


def test_threads_with_a_loop_each(async_url: str, only: Only) -> None:
    engines = [dbperf.create_async_engine(async_url) for _ in range(THREADS)]

    async def main(number: int, engine: AsyncEngine) -> None:
        async def one(each: int) -> None:
            async with engine.connect() as connection:
                (await connection.execute(ASK, {"a": each})).all()

        with dbperf.track(f"thread {number}"):
            for _ in range(EACH // 10):
                await asyncio.gather(*(one(each) for each in range(10)))
        await engine.dispose()

    in_threads(lambda number: asyncio.run(main(number, engines[number])))
    for number, engine in enumerate(engines):
        asked = only(engine, "asked")
        assert (asked.calls, asked.rows, dict(asked.operations)) == (EACH, EACH, {f"thread {number}": EACH})


# Now and then SQLAlchemy (2.0.30 and 2.1.9, without dbperf as well) drops an open connection whose task is
# cancelled while it is given back, and psycopg says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_storm_of_cancellations(async_url: str, only: Only) -> None:
    """500 tasks that are cancelled anywhere; 10,000 and more with DBPERF_TEST_STORM=10000."""
    outcomes: Counter[str] = Counter()
    chance = random.Random(5)

    async def one(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            outcomes["begun"] += 1
            try:
                await connection.execute(ASK, {"a": 1})
            except asyncio.CancelledError:
                outcomes["cancelled"] += 1
                raise
            outcomes["completed"] += 1

    async def main() -> tuple[Workload, int]:
        engine = dbperf.create_async_engine(async_url, pool_size=8, max_overflow=0)
        for _ in range(max(1, STORM // 50)):
            tasks = [asyncio.create_task(one(engine)) for _ in range(50)]
            for task in tasks:
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)
                if chance.random() < 0.7:
                    task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}
        left = len(dbperf.perf(engine)._capture.observations.pool.out)  # type: ignore[union-attr]
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        async with engine.connect() as connection:  # it works as before
            assert (await connection.execute(ASK, {"a": 7})).scalar_one() == 7
        await engine.dispose()
        return dbperf.perf(engine).workload(), left

    workload, left = asyncio.run(main())
    assert left == 0
    asked = only(workload, "asked")
    assert outcomes["cancelled"] > 0
    assert outcomes["completed"] > 0
    assert (asked.calls, asked.cancellations, asked.errors) == (
        outcomes["begun"] + 1,
        outcomes["cancelled"],
        0,
    )
    (pool,) = workload.pools
    assert pool.checkouts == pool.held.count >= outcomes["begun"] + 1
    assert workload.coverage.observer_failures == 0
