"""What capture sees of a long fetch and what that costs, and the memory that many statements take.

    uv run python -P tests/bench/capture_limits.py [fetch] [memory]

`fetch`    200,000 rows by each driver, streamed and not. "driver" is the wall time inside the cursor's fetch
           methods, by a cursor of this program's own that clocks each call: the rest of the loop is
           SQLAlchemy making rows and the application going over them. Beside it what dbperf says of the same
           run; not of rows read one by one, where that clock costs as much as what it measures. Cost is CPU
           with dbperf against without, in turns, on other engines. All are medians.
`memory`   100,000 different statements of 400 characters, each in a process of its own: how much more memory
           than without dbperf, and what the coverage says of those that were not kept.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter_ns, process_time_ns
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import dbperf
from dbperf.embedded import start

ROWS, ROUNDS, STATEMENTS = 200_000, 7, 100_000
ITEM = sa.Table(
    "item", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
)
PLAIN: dict[str, Any] = {}
STREAMED: dict[str, Any] = {"stream_results": True}
BY_1000: dict[str, Any] = {"yield_per": 1000}


class Clocked:
    """A cursor whose fetches are clocked."""

    spent = calls = 0

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cursor, name)
        if not name.startswith("fetch"):
            return method

        def clocked(*args: Any) -> Any:
            started = perf_counter_ns()
            try:
                return method(*args)
            finally:
                Clocked.spent += perf_counter_ns() - started
                Clocked.calls += 1

        setattr(self, name, clocked)
        return clocked


def clock(engine: sa.Engine) -> None:
    """Have the cursors of an engine clocked."""
    usual = engine.dialect.execution_ctx_cls

    class Context(usual):  # type: ignore[misc, valid-type]
        def create_cursor(self) -> Any:
            return Clocked(super().create_cursor())

    engine.dialect.execution_ctx_cls = Context


def read(engine: sa.Engine, options: dict[str, Any]) -> None:
    with engine.connect() as connection:
        for _ in connection.execute(sa.select(ITEM), execution_options=options):
            pass


async def stream(engine: AsyncEngine, options: dict[str, Any]) -> None:
    async with engine.connect() as connection:
        async for _ in await connection.stream(sa.select(ITEM), execution_options=options):
            pass


def fetch(title: str, create: Callable[[], Any], run: Callable[[Any], object]) -> None:
    """Print what is seen of a fetch, and what seeing it costs."""
    clocked, measured, bare = create(), create(), create()
    clock(sync(clocked))
    for engine in (clocked, measured):
        dbperf.instrument(engine, dbperf.Settings(enabled=True))
    shares, costs, loops, drivers = [], [], [], []
    for number in range(ROUNDS):
        before, Clocked.spent, Clocked.calls = seen(clocked), 0, 0
        run(clocked)
        drivers.append(Clocked.spent)
        shares.append((seen(clocked) - before) * 1e9 / Clocked.spent)
        spent = {}
        for engine in (measured, bare) if number % 2 else (bare, measured):
            started, cpu = perf_counter_ns(), process_time_ns()
            run(engine)
            spent[engine] = process_time_ns() - cpu, perf_counter_ns() - started
        costs.append(spent[measured][0] / spent[bare][0] - 1)
        loops.append(spent[bare][1])
    told = f"driver {median(drivers) / 1e6:.0f} ms, dbperf {median(shares):.1%} of it"
    if Clocked.calls > ROWS:
        told = "one by one"
    print(f"  {title:31} loop {median(loops) / 1e6:5.0f} ms, {told}, cost {median(costs):+.1%}", flush=True)


def seen(engine: Any) -> float:
    """Seconds of fetching, the first batch too, which comes as a statement is executed."""
    return sum(each.fetch_seconds for each in dbperf.perf(engine).workload().statements)


def sync(engine: Any) -> sa.Engine:
    found: sa.Engine = getattr(engine, "sync_engine", engine)
    return found


def fetches() -> None:
    print(f"fetching {ROWS:,} rows")
    ways = {"plain": PLAIN, "streamed": STREAMED, "yield_per 1000": BY_1000}
    with tempfile.TemporaryDirectory() as folder, start() as server, asyncio.Runner() as runner:
        for driver, url in (
            ("sqlite", f"sqlite:///{folder}/items.sqlite"),
            ("psycopg", server.url("psycopg")),
        ):
            with sa.create_engine(url).begin() as connection:
                ITEM.create(connection)
                rows = [{"id": each, "name": f"row number {each}"} for each in range(ROWS)]
                connection.execute(sa.insert(ITEM), rows)
            for name, options in ways.items():
                fetch(f"{driver}, {name}", partial(sa.create_engine, url), partial(read, options=options))
        for name, options in {"stream": PLAIN, "stream, yield_per 1000": BY_1000}.items():
            fetch(
                f"asyncpg, {name}",
                partial(create_async_engine, server.url("asyncpg")),
                lambda engine, options=options: runner.run(stream(engine, options)),
            )


def memory() -> None:
    print(f"{STATEMENTS:,} different statements")
    for tracing in ("", "tracemalloc"):
        grown = {}
        for kept in (0, 5000, STATEMENTS):
            command = [sys.executable, "-P", __file__, "statements", str(kept), tracing]
            grown[kept] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            if kept:
                more = (grown[kept]["bytes"] - grown[0]["bytes"]) / 2**20
                by = tracing or "resident memory"
                print(f"  max_statements={kept:<7} +{more:5.1f} MB by {by}; {grown[kept]['coverage']}")


def statements(kept: int, *, tracing: bool) -> None:
    """Execute them; print how many bytes it took, and what is said of those that were not kept."""
    engine = sa.create_engine("sqlite://")
    if kept:
        dbperf.instrument(engine, dbperf.Settings(enabled=True, max_statements=kept))
    columns = ", ".join(f"item.column_number_{each:02}" for each in range(12))
    with engine.connect() as connection:
        names = ", ".join(f"column_number_{each:02}" for each in range(12))
        connection.exec_driver_sql(f"create table item (id, {names})")
        if tracing:
            tracemalloc.start()
        before = resident()
        for each in range(STATEMENTS):
            sql = f"select {columns} from item where item.id = ? and item.column_number_07 <> {each:06}"
            connection.exec_driver_sql(sql + " order by item.column_number_01, item.column_number_02", (1,))
        grown = tracemalloc.get_traced_memory()[0] if tracing else resident() - before
    unseen = asdict(dbperf.perf(engine)._capture.observations.seen().unseen) if kept else {}
    print(json.dumps({"bytes": grown, "coverage": {name: n for name, n in unseen.items() if n}}))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    if sys.argv[1:2] == ["statements"]:
        statements(int(sys.argv[2]), tracing=bool(sys.argv[3]))
    else:
        for each in sys.argv[1:] or ["fetch", "memory"]:
            {"fetch": fetches, "memory": memory}[each]()
