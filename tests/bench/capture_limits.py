"""How true the time of a long fetch is, what it costs, and how much memory very many statements take.

    uv run python -P tests/bench/capture_limits.py

200,000 rows are streamed in batches of 1,000, by psycopg's server-side cursor, asyncpg's, and SQLite's. What
dbperf says of them is compared with the wall time of the driver alone doing the same, in turn; what it costs
is the CPU of the whole loop through SQLAlchemy, with and without it in turn: both as the median of ratios.
Memory is the peak of a process of its own that runs 100,000 different statements, with and without.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import dbperf
from dbperf.embedded import start

ROWS, ROUNDS, DIFFERENT = 200_000, 7, 100_000
SQL = {
    "postgresql": f"select n, 'row ' || n as text from generate_series(1, {ROWS}) n",
    "sqlite": f"with recursive s(n) as (select 1 union all select n + 1 from s where n < {ROWS})"
    " select n, 'row ' || n as text from s",
}
Loop = Callable[[], int]


def streamed(engine: sa.Engine) -> Loop:
    statement = sa.text(SQL[engine.dialect.name]).columns(n=sa.Integer, text=sa.String)

    def loop() -> int:
        with engine.connect() as connection:
            return sum(
                len(part)
                for part in connection.execution_options(yield_per=1000).execute(statement).partitions()
            )

    return loop


def one_by_one(engine: sa.Engine) -> Loop:
    def loop() -> int:
        with engine.connect() as connection:
            return sum(1 for _ in connection.execute(sa.text(SQL[engine.dialect.name])))

    return loop


def streamed_async(url: str, *, measured: bool) -> tuple[Loop, sa.Engine]:
    engine = create_async_engine(url)
    if measured:
        dbperf.instrument(engine)

    async def work() -> int:
        async with engine.connect() as connection:
            result = await connection.stream(
                sa.text(SQL["postgresql"]), execution_options={"yield_per": 1000}
            )
            count = sum([len(part) async for part in result.partitions()])
        await engine.dispose()
        return count

    return lambda: asyncio.run(work()), engine.sync_engine


def fetch_seconds(engine: sa.Engine) -> float:
    return sum(
        each.fetch_seconds + each.execute_seconds for each in dbperf.perf(engine).workload().statements
    )


def by_psycopg(dsn: str) -> Loop:
    def loop() -> int:
        with psycopg.connect(dsn) as connection, connection.cursor(name="rows") as cursor:
            cursor.execute(SQL["postgresql"].encode())
            return sum(len(part) for part in iter(lambda: cursor.fetchmany(1000), []))

    return loop


def by_sqlite3() -> int:
    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute(SQL["sqlite"])
        return sum(len(part) for part in iter(lambda: cursor.fetchmany(1000), []))


def show(name: str, off: Loop, on: Loop, engine: sa.Engine, driver: Loop | None = None) -> None:
    costs, told = [], []
    for _ in range(ROUNDS):
        cpu = []
        for loop in (off, on):
            before, started = fetch_seconds(engine), process_time()
            assert loop() == ROWS
            cpu.append(process_time() - started)
        costs.append(cpu[1] / cpu[0])
        spent = fetch_seconds(engine) - before
        if driver:
            started = perf_counter()
            assert driver() == ROWS
            told.append(spent / (perf_counter() - started))
    true = f"; told {median(told):.3f}x of what the driver alone takes" if driver else ""
    print(f"{name:20} cost {median(costs):.3f}x{true}")


def memory(measured: str) -> None:
    """In a process of its own: run many different statements and print what it took at most, in MB."""
    engine = sa.create_engine("sqlite://")
    if measured == "measured":
        dbperf.instrument(engine)
    with engine.connect() as connection:
        for number in range(DIFFERENT):
            connection.exec_driver_sql(
                f"select {number} as a, 'a statement of usual length' as b, {number} + 1 as c"
            )
    status = Path("/proc/self/status").read_text()  # Linux; ru_maxrss is the parent's, where that was larger
    print(int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) / 1024)
    if measured == "measured":
        print(dbperf.perf(engine)._capture.observations.seen().unseen, file=sys.stderr)  # type: ignore[union-attr]


def main() -> None:
    with start() as server, tempfile.TemporaryDirectory() as folder:
        url = server.url("psycopg")
        off, on = sa.create_engine(url), dbperf.create_engine(url)
        show("psycopg, streamed", streamed(off), streamed(on), on, by_psycopg(server.dsn()))
        url = f"sqlite:///{folder}/x.db"
        off, on = sa.create_engine(url), dbperf.create_engine(url)
        show("SQLite, streamed", streamed(off), streamed(on), on, by_sqlite3)
        show("SQLite, row by row", one_by_one(off), one_by_one(on), on, by_sqlite3)
        plain, _ = streamed_async(server.url("asyncpg"), measured=False)
        watched, engine = streamed_async(server.url("asyncpg"), measured=True)
        show("asyncpg, streamed", plain, watched, engine)
    used = []
    for measured in ("plain", "measured"):
        command = [sys.executable, "-P", __file__, measured]
        used.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    print(f"{DIFFERENT:,} different statements: {used[1]:.0f} MB, without {used[0]:.0f} MB")


if __name__ == "__main__":
    memory(sys.argv[1]) if sys.argv[1:] else main()
