"""The adaptive pool against fixed sizes, on a real PostgreSQL, through phases that want different sizes.

    python tests/bench/pool_phases.py [ROUNDS] [SECONDS a phase] [psycopg|asyncpg]

Each round runs every pool through all phases in turn; ratios are to the best fixed size of the same round and
phase, and printed as medians over the rounds: of the second half of a phase, and of the whole phase.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbperf.embedded import start
from dbperf.pool import AsyncAdaptivePool

FIXED = (5, 10, 20, 40, 80)
Job = Callable[[AsyncEngine, random.Random], Awaitable[None]]


@dataclass(frozen=True)
class Phase:
    name: str
    clients: int
    job: Job
    think: float = 0.0
    """Seconds a client waits between two jobs, on average."""


async def burst(engine: AsyncEngine, _: random.Random) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(0.05)"))


async def contended(engine: AsyncEngine, dice: random.Random) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT sum(n) FROM generate_series(1, 3000) AS s(n)"))
        hot = {"id": dice.randrange(4)}
        await connection.execute(text("UPDATE hot SET n = n + 1 WHERE id = :id"), hot)


async def mixed(engine: AsyncEngine, dice: random.Random) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT 1"))
        if dice.random() < 0.2:
            await asyncio.sleep(0.2)  # asks somebody else, with the transaction open
            await connection.execute(text("SELECT 1"))


async def light(engine: AsyncEngine, _: random.Random) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def client_bound(engine: AsyncEngine, _: random.Random) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    sum(range(40_000))


PHASES = (
    Phase("I/O burst", 128, burst),
    Phase("contention", 96, contended),
    Phase("long transactions", 128, mixed),
    Phase("light", 8, light, think=0.05),
    Phase("client-bound", 64, client_bound),
    Phase("I/O burst again", 128, burst),
)


async def run(engine: AsyncEngine, phase: Phase, seconds: float) -> tuple[float, float]:
    """Jobs a second in the second half, and in the whole phase."""
    began = monotonic()
    ends, ended = began + seconds, [0, 0]

    async def client(number: int) -> None:
        dice = random.Random(number)
        while (now := monotonic()) < ends:
            if phase.think:
                await asyncio.sleep(dice.expovariate(1 / phase.think))
            await phase.job(engine, dice)
            now = monotonic()
            if now < ends:
                ended[now > began + seconds / 2] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(phase.clients):
            group.create_task(client(number))
    return ended[1] / (seconds / 2), sum(ended) / seconds


def tell(pool: Any, phase: Phase, since: float, told: tuple[float, float]) -> None:
    changes = " ".join(
        f"{each.at - since:.1f}s:{each.after}({each.kind})"
        for each in getattr(pool, "changes", ())
        if each.at >= since
    )
    print(f"    {phase.name}: {told[0]:.0f}/s, whole {told[1]:.0f}/s  {changes}", flush=True)


async def sequence(url: str, size: int | None, seconds: float) -> list[tuple[float, float]]:
    """All phases, with a pool of this size; None for the adaptive pool."""
    options: dict[str, Any] = {"poolclass": AsyncAdaptivePool, "pool_timeout": 120}
    if size:
        options |= {"pool_size": size, "max_overflow": 0, "adaptive": False}
    engine = create_async_engine(url, **options)
    results = []
    for phase in PHASES:
        since = monotonic()
        results.append(await run(engine, phase, seconds))
        if size is None:
            tell(engine.sync_engine.pool, phase, since, results[-1])
    await engine.dispose()
    return results


async def main(url: str, rounds: int, seconds: float) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 10)"))
        await connection.execute(text("INSERT INTO hot SELECT n, 0 FROM generate_series(0, 3) AS s(n)"))
    await engine.dispose()
    ratios: dict[str, list[tuple[float, float]]] = {each.name: [] for each in PHASES}
    for _ in range(rounds):
        fixed = {size: await sequence(url, size, seconds) for size in FIXED}
        ours = await sequence(url, None, seconds)
        for number, phase in enumerate(PHASES):
            best = max(fixed.values(), key=lambda each: each[number][0])[number]
            rates = " ".join(f"{size}:{each[number][0]:.0f}" for size, each in fixed.items())
            half, whole = (mine / other for mine, other in zip(ours[number], best, strict=True))
            ratios[phase.name].append((half, whole))
            print(f"  {phase.name:20} {half:.2f} {whole:.2f}  fixed {rates}", flush=True)
    for name, found in ratios.items():
        halves, wholes = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"{name:20} second half {halves:.2f}  whole {wholes:.2f}")


if __name__ == "__main__":
    rounds, seconds, driver = (*sys.argv[1:], *("1", "6", "psycopg")[len(sys.argv) - 1 :])
    with start() as server:
        asyncio.run(main(server.url(driver, "postgres"), int(rounds), float(seconds)))
