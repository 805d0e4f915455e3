"""The adaptive pool against fixed sizes, on a real PostgreSQL, through phases that want different sizes.

    uv run --group bench python -P tests/bench/pool_phases.py [--rounds 3] [--seconds 6] [--plot FILE]
        [--driver psycopg|asyncpg|threads] [--sizes 5 10 20 40 80] [--only PHASE ...]

Each round runs every pool through all phases in turn, and begins with another one. Ratios are to the best
fixed size of the same round and phase, and printed as medians over the rounds: of the second half of a phase
to what is best there, and of the whole phase to what is best over it. *threads* is psycopg without asyncio.
The plot shows the last round.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbperf.embedded import Server, start
from dbperf.pool import AdaptivePool, AsyncAdaptivePool

SLOT = 0.25
"""Seconds of one point of the plot."""
Job = Callable[[random.Random], Iterable[str | float]]
"""What one client does with a connection: statements, and seconds in which it does something else."""

SETUP = """
    CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 10);
    INSERT INTO hot SELECT n, 0 FROM generate_series(0, 3) AS s(n);
    CREATE TABLE gate ();
"""


@dataclass(frozen=True)
class Phase:
    name: str
    clients: int
    job: Job
    think: float = 0.0
    """Seconds a client waits between two jobs, on average."""
    work: int = 0
    """Loops of the interpreter between two jobs."""
    stall: float = 0.0
    """Share of the phase for which the table `gate` is locked, from a quarter of it on."""


def contended(dice: random.Random) -> Iterable[str | float]:
    yield "SELECT sum(n) FROM generate_series(1, 3000) AS s(n)"
    yield f"UPDATE hot SET n = n + 1 WHERE id = {dice.randrange(4)}"


def mixed(dice: random.Random) -> Iterable[str | float]:
    yield "SELECT 1"
    if dice.random() < 0.2:
        yield 0.2  # asks somebody else, with the transaction open
        yield "SELECT 1"


def only(sql: str) -> Job:
    return lambda _: (sql,)


PHASES = (
    Phase("I/O burst", 128, only("SELECT pg_sleep(0.05)")),
    Phase("contention", 96, contended),
    Phase("long transactions", 128, mixed),
    Phase("light", 8, only("SELECT 1"), think=0.05),
    Phase("stall", 128, only("SELECT pg_sleep(0.05) FROM (SELECT count(*) FROM gate) AS g"), stall=0.25),
    Phase("client-bound", 64, only("SELECT 1"), work=40_000),
    Phase("I/O burst again", 128, only("SELECT pg_sleep(0.05)")),
)


@dataclass
class Trace:
    """What one pool did in one phase: when a job ended, in seconds from its beginning."""

    seconds: float
    ends: list[float] = field(default_factory=list)
    changes: list[tuple[float, int, str]] = field(default_factory=list)

    def second_half(self) -> float:
        """Jobs a second."""
        return sum(end > self.seconds / 2 for end in self.ends) / (self.seconds / 2)

    def whole(self) -> float:
        return len(self.ends) / self.seconds


@contextmanager
def stalled(server: Server, phase: Phase, seconds: float) -> Any:
    """Another session locks `gate` for a while."""

    def hold() -> None:
        time.sleep(seconds / 4)
        with closing(psycopg.connect(server.dsn("postgres"))) as connection, connection.transaction():
            connection.execute("LOCK TABLE gate IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds * phase.stall)

    thread = threading.Thread(target=hold)
    if phase.stall:
        thread.start()
    try:
        yield
    finally:
        if phase.stall:
            thread.join()


def clients(phase: Phase, trace: Trace, one: Callable[[random.Random], Any]) -> None:
    """The clients as threads; `one` does a job."""
    began = monotonic()

    def client(number: int) -> None:
        dice = random.Random(number)
        while monotonic() - began < trace.seconds:
            if phase.think:
                time.sleep(dice.expovariate(1 / phase.think))
            one(dice)
            sum(range(phase.work))
            trace.ends.append(monotonic() - began)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(phase.clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


async def async_clients(engine: AsyncEngine, phase: Phase, trace: Trace) -> None:
    began = monotonic()

    async def client(number: int) -> None:
        dice = random.Random(number)
        while monotonic() - began < trace.seconds:
            if phase.think:
                await asyncio.sleep(dice.expovariate(1 / phase.think))
            async with engine.begin() as connection:
                for step in phase.job(dice):
                    if isinstance(step, str):
                        await connection.execute(text(step))
                    else:
                        await asyncio.sleep(step)
            sum(range(phase.work))
            trace.ends.append(monotonic() - began)

    async with asyncio.TaskGroup() as group:
        for number in range(phase.clients):
            group.create_task(client(number))


def job(engine: Engine, phase: Phase, dice: random.Random) -> None:
    with engine.begin() as connection:
        for step in phase.job(dice):
            if isinstance(step, str):
                connection.execute(text(step))
            else:
                time.sleep(step)


def changes(pool: Any, since: float) -> list[tuple[float, int, str]]:
    return [(each.at - since, each.after, each.kind) for each in pool.changes if each.at >= since]


async def _async_sequence(server: Server, url: str, seconds: float, options: dict[str, Any]) -> list[Trace]:
    engine = create_async_engine(url, poolclass=AsyncAdaptivePool, **options)
    traces = []
    for phase in PHASES:
        since, trace = monotonic(), Trace(seconds)
        with stalled(server, phase, seconds):
            await async_clients(engine, phase, trace)
        trace.changes = changes(engine.sync_engine.pool, since)
        traces.append(_within(trace))
    await engine.dispose()
    return traces


def _sequence(server: Server, url: str, seconds: float, options: dict[str, Any]) -> list[Trace]:
    engine = create_engine(url, poolclass=AdaptivePool, **options)
    traces = []
    for phase in PHASES:
        since, trace = monotonic(), Trace(seconds)
        with stalled(server, phase, seconds):
            clients(phase, trace, partial(job, engine, phase))
        trace.changes = changes(engine.pool, since)
        traces.append(_within(trace))
    engine.dispose()
    return traces


def _within(trace: Trace) -> Trace:
    """Without what ended after the phase."""
    trace.ends = [end for end in trace.ends if end < trace.seconds]
    return trace


def sequence(server: Server, driver: str, size: int | None, seconds: float) -> list[Trace]:
    """All phases, with a pool of this size; None for the adaptive pool."""
    options: dict[str, Any] = {"pool_timeout": 120}
    if size:
        options |= {"pool_size": size, "max_overflow": 0, "adaptive": False}
    url = server.url("psycopg" if driver == "threads" else driver, "postgres")
    if driver == "threads":
        return _sequence(server, url, seconds, options)
    return asyncio.run(_async_sequence(server, url, seconds, options))


def tell(phase: Phase, ours: Trace, fixed: dict[int, Trace]) -> tuple[float, float]:
    half = ours.second_half() / max(each.second_half() for each in fixed.values())
    whole = ours.whole() / max(each.whole() for each in fixed.values())
    rates = " ".join(f"{size}:{each.second_half():.0f}" for size, each in fixed.items())
    print(f"  {phase.name:20} {half:.2f} {whole:.2f}  fixed {rates}  ours {ours.second_half():.0f}")
    steps = " ".join(f"{at:.1f}s:{limit}({kind})" for at, limit, kind in ours.changes)
    print(f"      {steps}", flush=True)
    return half, whole


def plot(path: str, ours: list[Trace], fixed: dict[int, list[Trace]], driver: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (rates, limits) = pyplot.subplots(2, 1, sharex=True, figsize=(10, 5), layout="constrained")
    starts = [0.0, *accumulate(each.seconds for each in ours)]
    for size, traces in [*fixed.items(), (None, ours)]:
        points = [
            (begun + slot * SLOT, sum(slot <= end / SLOT < slot + 1 for end in trace.ends) / SLOT)
            for begun, trace in zip(starts, traces, strict=False)
            for slot in range(int(trace.seconds / SLOT))
        ]
        style = {"color": "black", "linewidth": 1.8} if size is None else {"linewidth": 0.9}
        rates.plot(*zip(*points, strict=True), label=f"fixed {size}" if size else "adaptive", **style)
    steps = [
        (begun + at, limit)
        for begun, trace in zip(starts, ours, strict=False)
        for at, limit, _ in trace.changes
    ]
    limits.step(*zip(*steps, (starts[-1], steps[-1][1]), strict=True), where="post", color="black")
    for axes in (rates, limits):
        for begun in starts[1:-1]:
            axes.axvline(begun, color="0.8", linewidth=0.8)
    for phase, begun in zip(PHASES, starts, strict=False):
        rates.text(begun + 0.2, 1.02, phase.name, fontsize=8, transform=rates.get_xaxis_transform())
    rates.set(ylabel="jobs a second")
    limits.set(ylabel="connections allowed", xlabel=f"seconds ({driver})")
    rates.legend(fontsize=7, ncols=3)
    figure.savefig(path, dpi=110)


def main(server: Server, chosen: argparse.Namespace) -> None:
    with closing(psycopg.connect(server.dsn("postgres"), autocommit=True)) as connection:
        connection.execute(SETUP)
    ratios: dict[str, list[tuple[float, float]]] = {each.name: [] for each in PHASES}
    pools: deque[int | None] = deque([*chosen.sizes, None])
    for _ in range(chosen.rounds):
        fixed = {size: sequence(server, chosen.driver, size, chosen.seconds) for size in pools}
        ours = fixed.pop(None)
        pools.rotate()
        for number, phase in enumerate(PHASES):
            others = {size: fixed[size][number] for size in chosen.sizes}
            ratios[phase.name].append(tell(phase, ours[number], others))
    for name, found in ratios.items():
        halves, wholes = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"{name:20} second half {halves:.2f}  whole {wholes:.2f}")
    if chosen.plot:
        plot(chosen.plot, ours, {size: fixed[size] for size in chosen.sizes}, chosen.driver)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="of each phase")
    parser.add_argument("--driver", choices=("psycopg", "asyncpg", "threads"), default="psycopg")
    parser.add_argument("--sizes", type=int, nargs="*", default=(5, 10, 20, 40, 80), help="of fixed pools")
    parser.add_argument("--only", nargs="*", help="names of phases")
    parser.add_argument("--plot", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    PHASES = tuple(each for each in PHASES if not chosen.only or each.name in chosen.only)
    with start() as server:
        main(server, chosen)
