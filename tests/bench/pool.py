"""What a checkout costs where nobody waits, and how fair the pool is to those who do, beside SQLAlchemy's.

    python tests/bench/pool.py [cost|fair]

cost: CPU of checkout and return, no database, in interleaved rounds: the median of the ratios is what counts.
fair: 64 clients on 5 connections, each held for 2 ms, on a real PostgreSQL: waits, and how often each client
got a connection. Fair and ideal is a wait of 59 / 5 x 2 ms.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, QueuePool
from sqlalchemy.util.concurrency import greenlet_spawn

from dbperf.embedded import start
from dbperf.pool import AdaptivePool, AsyncAdaptivePool

ROUNDS, CHECKOUTS = 31, 8000
CLIENTS, CONNECTIONS, HELD, SECONDS = 64, 5, 0.002, 4.0
IDEAL = (CLIENTS - CONNECTIONS) / CONNECTIONS * HELD


class Nothing:
    """A connection to nowhere."""

    def close(self) -> None: ...
    def rollback(self) -> None: ...


def seconds_each(pool: Pool) -> float:
    began = time.process_time()
    for _ in range(CHECKOUTS):
        pool.connect().close()
    return (time.process_time() - began) / CHECKOUTS


async def seconds_each_in_greenlets(pool: Pool) -> float:
    """As an asyncio engine does it: each call is a greenlet's."""
    began = time.process_time()
    for _ in range(CHECKOUTS):
        connection = await greenlet_spawn(pool.connect)
        await greenlet_spawn(connection.close)
    return (time.process_time() - began) / CHECKOUTS


def cost() -> None:
    pools = pair(QueuePool, AdaptivePool)
    compared("", pools, [[seconds_each(pool) for pool in pools] for _ in range(ROUNDS)])
    asyncio.run(cost_in_loop())


async def cost_in_loop() -> None:
    pools = pair(AsyncAdaptedQueuePool, AsyncAdaptivePool)
    rounds = [[await seconds_each_in_greenlets(pool) for pool in pools] for _ in range(ROUNDS)]
    compared("", pools, rounds)
    rounds = [[await greenlet_spawn(seconds_each, pool) for pool in pools] for _ in range(ROUNDS)]
    compared(", without the greenlets", pools, rounds)


def pair(*classes: type[Pool]) -> list[Pool]:
    return [each(Nothing, reset_on_return=None) for each in classes]


def compared(how: str, pools: list[Pool], rounds: list[list[float]]) -> None:
    medians = [statistics.median(times) * 1e6 for times in zip(*rounds, strict=True)]
    ratio = statistics.median(ours / theirs for theirs, ours in rounds)
    each = ", ".join(f"{type(pool).__name__} {us:.2f} us" for pool, us in zip(pools, medians, strict=True))
    print(f"checkout and return{how}: {each}, {ratio:.2f}x")


def told(name: str, waits: list[list[float]]) -> None:
    every, times = sorted(wait for each in waits for wait in each), [len(each) for each in waits]
    p50, p99 = (every[int(len(every) * share)] for share in (0.5, 0.99))
    print(
        f"{name:32} {len(every):6} checkouts  wait p50 {p50 * 1e3:6.1f} p99 {p99 * 1e3:6.1f} "
        f"max {every[-1] * 1e3:6.1f} ms  p99/ideal {p99 / IDEAL:5.2f}  min/max {min(times)}/{max(times)}"
    )


def threads(url: str, poolclass: type[Pool]) -> None:
    engine = sa.create_engine(url, poolclass=poolclass, pool_size=CONNECTIONS, max_overflow=0)
    waits: list[list[float]] = [[] for _ in range(CLIENTS)]
    ends = time.monotonic() + SECONDS

    def client(mine: list[float]) -> None:
        while (began := time.monotonic()) < ends:
            connection = engine.pool.connect()
            mine.append(time.monotonic() - began)
            time.sleep(HELD)
            connection.close()

    clients = [threading.Thread(target=client, args=(each,)) for each in waits]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    told(f"{poolclass.__name__}, threads", waits)
    engine.dispose()


async def coroutines(url: str, poolclass: type[Pool], driver: str) -> None:
    engine = create_async_engine(url, poolclass=poolclass, pool_size=CONNECTIONS, max_overflow=0)
    waits: list[list[float]] = [[] for _ in range(CLIENTS)]
    ends = time.monotonic() + SECONDS

    async def client(mine: list[float]) -> None:
        while (began := time.monotonic()) < ends:
            connection: Any = await engine.raw_connection()
            mine.append(time.monotonic() - began)
            await asyncio.sleep(HELD)
            await greenlet_spawn(connection.close)

    await asyncio.gather(*(client(each) for each in waits))
    told(f"{poolclass.__name__}, {driver}", waits)
    await engine.dispose()


def fair() -> None:
    with start() as server:
        for sync in (QueuePool, AdaptivePool):
            threads(server.url("psycopg", "postgres"), sync)
        for asynchronous in (AsyncAdaptedQueuePool, AsyncAdaptivePool):
            for driver in ("psycopg", "asyncpg"):
                asyncio.run(coroutines(server.url(driver, "postgres"), asynchronous, driver))


if __name__ == "__main__":
    for name in sys.argv[1:] or ("cost", "fair"):
        {"cost": cost, "fair": fair}[name]()
