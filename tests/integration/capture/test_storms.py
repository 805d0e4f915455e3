"""Threads, cancellations and greenlets by the hundred: every execution is counted, nothing is left behind.

DBPERF_TEST_STORM=10000 runs the storm of cancellations in full; 500 tasks otherwise.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

import dbperf
from dbperf.model.workload import Workload

STORM = int(os.environ.get("DBPERF_TEST_STORM", "500"))
THREADS, EACH = 8, 100
QUICK = sa.text("select :a + 1")


def test_threads(psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_size=4, max_overflow=0)

    def work() -> None:
        for number in range(EACH):
            with dbperf.track(f"job {number % 2}"), engine.connect() as connection:
                assert connection.execute(QUICK, {"a": number}).scalar_one() == number + 1

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workload = dbperf.perf(engine).workload()
    (statement,) = workload.statements
    assert (statement.calls, statement.rows, statement.latency.count) == (THREADS * EACH,) * 3
    assert sum(site.calls for site in statement.call_sites) == THREADS * EACH
    assert dict(statement.operations) == dict.fromkeys(("job 0", "job 1"), THREADS * EACH // 2)
    assert [each.calls for each in workload.operations] == [THREADS * EACH // 2] * 2
    (pool,) = workload.pools
    assert (pool.checkouts, pool.held.count, pool.busiest <= 4) == (THREADS * EACH, THREADS * EACH, True)
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_storm_of_cancellations(driver: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{driver}_url")
    chance = random.Random(7)
    seen = {"ended": 0, "failed": 0}

    async def main() -> Workload:
        engine = dbperf.create_async_engine(url, pool_size=5, max_overflow=5)

        async def task(number: int) -> None:
            async with engine.connect() as connection:
                try:
                    await connection.execute(sa.text("select pg_sleep(:s)"), {"s": 0.001 * (number % 3)})
                    seen["ended"] += 1
                except BaseException:
                    seen["failed"] += 1
                    raise

        for _ in range(STORM // 50):
            tasks = [asyncio.create_task(task(number)) for number in range(50)]
            for each in chance.sample(tasks, 25):
                await asyncio.sleep(0)  # a turn of the loop: the tasks stand somewhere else now
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        perf = dbperf.perf(engine)
        assert perf._capture is not None
        assert not perf._capture.observations.pool.out
        await engine.dispose()
        return perf.workload()

    workload = asyncio.run(main())
    statements = [each for each in workload.statements if "pg_sleep" in each.sql]
    calls = sum(each.calls for each in statements)
    # A task that is cancelled before its statement is sent has failed and executed nothing.
    assert seen["ended"] <= calls <= seen["ended"] + seen["failed"]
    assert sum(each.errors + each.timeouts for each in statements) == 0
    assert calls - sum(each.cancellations for each in statements) == seen["ended"]
    (pool,) = workload.pools
    assert pool.held.count == pool.checkouts


GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
import sqlalchemy as sa
import dbperf
settings = dbperf.Settings(store=sys.argv[2])
engine = dbperf.create_engine(sys.argv[1], pool_size=5, max_overflow=0, dbperf=settings)

def work(number):
    with dbperf.track(f"greenlet {number % 4}"), engine.connect() as connection:
        for _ in range(3):
            connection.execute(sa.text("select pg_sleep(0.001), :a"), {"a": number}).all()

gevent.joinall([gevent.spawn(work, number) for number in range(200)], raise_error=True)
print(len(dbperf.perf(engine)._capture.observations.recorders._living))
engine.dispose()
"""


def test_gevent(psycopg_url: str, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    command = [sys.executable, "-c", GEVENT, psycopg_url, str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1\n"  # a recorder for the thread, none for each greenlet
    from dbperf.workload.file import load

    workload = load(store)
    (statement,) = [each for each in workload.statements if "pg_sleep" in each.sql]
    assert statement.calls == 600
    assert dict(statement.operations) == {f"greenlet {number}": 150 for number in range(4)}
    assert sorted(each.calls for each in workload.operations) == [50] * 4
