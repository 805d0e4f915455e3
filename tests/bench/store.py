"""What a history store holds and how fast.

    uv run python -P tests/bench/store.py [fleet] [month] [million]

`fleet`    200 processes flush every second for a minute into one PostgreSQL store; nothing may be missing.
`month`    10,000 statements x 30 days in one SQLite file, as prune leaves it: size, seconds to read, and what
           the commands on it take as whole processes.
`million`  rows and bytes for each million captured statements, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy import Connection

from dbperf.embedded import start
from dbperf.model.histogram import Latency, bucket_of
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Observed, Seen, Workload, Writer
from dbperf.workload.fold import fold
from dbperf.workload.store.connect import connect, place_of, transaction
from dbperf.workload.store.counts import Counts, counts_by_id
from dbperf.workload.store.describe import describe
from dbperf.workload.store.info import info
from dbperf.workload.store.merge import merge
from dbperf.workload.store.prune import prune
from dbperf.workload.store.read import read
from dbperf.workload.store.schema import create
from dbperf.workload.store.tables import SECONDS
from dbperf.workload.store.upgrade import upgrade
from dbperf.workload.store.windows import WindowKey, put_counts
from dbperf.workload.store.writer import StoreWriter

DAY = 86400
TOUCHED = 20
"""Statements that a process of the fleet runs in a second."""
OPERATIONS = 100
MINUTE_MEAN = 5_000_000 / 1440 / sum(1 / rank for rank in range(1, 10_001))
"""Calls a minute of the most frequent of 10,000 statements, where all make 5 million calls a day."""


def sql(number: int) -> str:
    columns = ", ".join(f"t{number}.column_{each}" for each in range(8))
    return (
        f"SELECT {columns} FROM t{number} JOIN other ON other.id = t{number}.other_id WHERE t{number}.id = %s"
    )


def observed(number: int, calls: int, draw: random.Random) -> Observed:
    """Executions with log-normal times, from one to three lines of the application."""
    drawn = Counter(bucket_of(int(draw.lognormvariate(13 + number % 5, 0.5))) for _ in range(min(calls, 300)))
    scale = calls / max(1, sum(drawn.values()))
    latency = Counter({bucket: max(1, round(count * scale)) for bucket, count in drawn.items()})
    file, view = f"/srv/app/shop/views_{number % 97}.py", f"view_{number}"
    shares = shared(calls, 1 + number % 3)
    sites = tuple(CallSite(file, number + each, view, share) for each, share in enumerate(shares))
    nanoseconds = int(calls * math.exp(13 + number % 5))
    operations = tuple(
        (f"GET /view/{(number + each) % OPERATIONS}", share) for each, share in enumerate(shares)
    )
    access = Access("loop", operations[0][0], sites[0].at(0), "", None, calls // 10, calls, nanoseconds)
    return Observed(
        sql(number),
        "postgresql",
        "format",
        "db.example.com/5432/shop",
        calls=calls,
        parameter_sets=calls,
        rows=3 * calls,
        unread_rows=calls // 9,
        wait_ns=nanoseconds // 100,
        execute_ns=nanoseconds,
        fetch_ns=nanoseconds // 7,
        latency=Latency.of(latency),
        call_sites=sites,
        operations=operations,
        accesses=(access,) if number % 10 == 0 else (),
    )


def shared(calls: int, parts: int) -> list[int]:
    """Calls from so many lines: each next one has half of the one before, and none where none are left."""
    rest = [calls // 2 ** (each + 1) for each in range(1, parts)]
    return [calls - sum(rest), *filter(None, rest)]


def operation(number: int, calls: int) -> Figure:
    """What an operation of the application did."""
    latency = Counter(f"whole.{140 + number % 20 + each % 7}" for each in range(min(calls, 300)))
    times = {"whole_ns": 50_000_000 * calls, "execute_ns": 9_000_000 * calls}
    counts = {"calls": calls, "statements": 12 * calls, **times, **latency}
    return Figure.of("operation", f"GET /view/{number}", "", counts)


# --- a fleet


def flushing(url: str, number: int, seconds: int) -> tuple[int, list[float]]:
    """A process of the fleet: calls made, and how long each flush took."""
    draw = random.Random(number)
    sink = StoreWriter(url, Writer(number, f"host-{number % 10}", number, time.time()))
    pending: list[Observed] = []
    made, took = 0, []
    due = time.monotonic() + draw.random()
    end = time.monotonic() + seconds
    while due < end or pending:
        time.sleep(max(0.0, due - time.monotonic()))
        due += draw.uniform(0.9, 1.1)
        if time.monotonic() < end:
            pending += [
                observed(each, draw.randint(1, 50), draw) for each in draw.sample(range(200), TOUCHED)
            ]
            made += sum(each.calls for each in pending[-TOUCHED:])
        began = time.perf_counter()
        try:
            sink.write(time.time(), Seen(tuple(pending)))
            pending = []
        except Exception as error:  # noqa: BLE001  what a flusher does too: it is offered again
            print("a flush failed:", error)
        took.append(time.perf_counter() - began)
    sink.close()
    return made, took


def fleet(writers: int, seconds: int) -> None:
    fold([observed(number, 1, random.Random(0)) for number in range(200)])  # parsed once, before the fork
    with start(settings={"max_connections": "300"}) as server:
        url = server.url()
        upgrade(url)
        with multiprocessing.get_context("fork").Pool(writers) as pool:
            done = pool.starmap(flushing, [(url, number, seconds) for number in range(1, writers + 1)], 1)
        made, took = sum(calls for calls, _ in done), sorted(each for _, times in done for each in times)
        stored = info(url).calls
    print(f"{writers} writers x {seconds} s: {len(took):,} flushes of {TOUCHED} statements")
    print(f"calls made {made:,}, in the store {stored:,}: {'equal' if made == stored else 'NOT EQUAL'}")
    middle, late = took[len(took) // 2], took[len(took) * 99 // 100]
    print(f"a flush: p50 {middle * 1e3:.0f} ms, p99 {late * 1e3:.0f} ms, longest {took[-1] * 1e3:.0f} ms")
    assert made == stored


# --- a month


def fill(file: Path, statements: int, days: int, writers: int) -> int:
    """A store as it is just before the next prune: minutes of each process for 3 hours, hours for 3 days,
    then days. The rank of a statement says how often it runs. Returns all calls.
    """
    draw = random.Random(1)
    now = int(time.time()) // DAY * DAY + DAY
    minutes, hours = now - 3 * 3600, now - 3 * DAY
    windows = [(2, at, 1) for at in range(now - days * DAY, hours, DAY)]
    windows += [(1, at, 1) for at in range(hours, minutes, 3600)]
    windows += [(0, at, writer) for at in range(minutes, now, 60) for writer in range(2, 2 + writers)]
    operations = fold([], figures=[operation(number, 300) for number in range(OPERATIONS)])
    calls = 0
    with connect(place_of(file), "new") as connection, transaction(connection):
        create(connection)
        for rank in range(1, statements + 1):
            workload = fold([observed(rank, 300, draw)])
            calls += add(connection, workload, windows, MINUTE_MEAN / rank, writers, draw)
        add(connection, operations, windows, MINUTE_MEAN / OPERATIONS, writers, draw)
    with closing(sqlite3.connect(file)) as database:  # as prune does, once a day
        database.execute("VACUUM")
    return calls


def add(
    connection: Connection,
    workload: Workload,
    windows: Sequence[tuple[int, int, int]],
    minute_mean: float,
    writers: int,
    draw: random.Random,
) -> int:
    """Rows of what is in a workload, 300 calls each, in the windows that it ran in; the calls there."""
    describe(connection, workload, windows[-1][1])
    rows: defaultdict[tuple[int, int], dict[WindowKey, Counts]] = defaultdict(dict)
    made = 0
    for key, base in counts_by_id(workload).items():
        for size, at, writer in windows:
            seconds = (60, 3600, DAY)[size]
            calls = poisson(minute_mean * seconds / 60 / (1 if size else writers), draw)
            if calls:
                rows[size, writer][(*key, at)] = scaled(base, calls, draw)
                made += calls
    for (size, writer), counts in rows.items():
        put_counts(connection, counts, writer, size=size)
    return made


def scaled(base: Counts, calls: int, draw: random.Random) -> Counts:
    """What 300 calls count, for another number of them, drawn from those."""
    numbers = Counter({name: count * calls // 300 for name, count in base.numbers.items()})
    texts = dict(base.texts)
    for name in {"latency", "sites", "operations"} & texts.keys():
        drawn = Counter(draw.choices(list(texts[name].elements()), k=min(calls, 300)))
        texts[name] = Counter({key: -(-count * calls // min(calls, 300)) for key, count in drawn.items()})
    if "accesses" in texts:
        texts["accesses"] = Counter(
            {key: -(-count * calls // 300) for key, count in texts["accesses"].items()}
        )
    return Counts(numbers, texts)


def poisson(mean: float, draw: random.Random) -> int:
    """By a normal where that is close (Knuth's algorithm below 30)."""
    if mean > 30:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    limit, product, calls = math.exp(-mean), draw.random(), 0
    while product > limit:
        product *= draw.random()
        calls += 1
    return calls


def month(statements: int, days: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "month.sqlite")
        file.touch()
        calls = fill(file, statements, days, writers=4)
        found = info(file)
        shape = ", ".join(f"{each.rows:,} {each.name} rows" for each in found.windows)
        print(
            f"{statements:,} statements x {days} days, {calls / 1e6:,.0f} million calls (rank r: 1/r of them)"
        )
        print(f"{shape}: {found.size_bytes / 1e6:.0f} MB")
        for detailed in (None, 500):
            took = []
            for _ in range(3):
                began = time.perf_counter()
                read(file, detailed=detailed)
                took.append(time.perf_counter() - began)
            print(f"read: {min(took):.2f} s, with latency and lines of {detailed or 'all'}")
        commands(file)


def commands(file: Path) -> None:
    """The commands a person waits for, as whole processes; the tables of the top statements are there."""
    columns = ", ".join(f"column_{each} int" for each in range(8))
    with start() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE other (id int PRIMARY KEY)")
            for number in range(1, 501):
                table = f"t{number} (id int PRIMARY KEY, other_id int, {columns})"
                connection.execute(f"CREATE TABLE {table}".encode())
        analyze = ["analyze", "--db", server.dsn(), "--workload", str(file)]
        for command in (analyze, analyze, ["report", str(file)], ["report", str(file), "--format", "html"]):
            began = time.perf_counter()
            line = [sys.executable, "-m", "dbperf", *command]
            done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
            took, first = time.perf_counter() - began, done.stdout.split(b"\n")[0].decode()
            print(f"dbperf {command[0]}: {took:.2f} s, {len(done.stdout) / 1e3:,.0f} kB: {first[:70]}")


# --- a million


def hour_of(file: Path, calls: int, processes: int, statements: int, at: float) -> None:
    """An hour of traffic, written as processes write it, though once a minute."""
    draw = random.Random(2)
    weights = [1 / rank for rank in range(1, statements + 1)]
    for process in range(1, processes + 1):
        sink = StoreWriter(str(file), Writer(process, "host", process, at))
        for minute in range(60):
            ran = Counter(draw.choices(range(statements), weights, k=calls // processes // 60))
            seen = [observed(number, count, draw) for number, count in ran.items()]
            sink.write(at + 60 * minute, Seen(tuple(seen)))


def million() -> None:
    noon = int(time.time()) // DAY * DAY - 3 * DAY + DAY // 2
    with tempfile.TemporaryDirectory() as folder, start() as server:
        file, url = Path(folder, "million.sqlite"), server.url()
        hour_of(file, 1_000_000, processes=8, statements=500, at=noon)
        upgrade(url)
        merge(url, file)
        print("a million calls of 500 statements by 8 processes in an hour:")
        steps: list[tuple[str, Callable[[str], object]]] = [
            ("as written", lambda _: None),
            ("rolled up to hours", lambda where: prune(where, now=noon + DAY // 4)),
            ("rolled up to days", lambda where: prune(where, now=noon + 4 * DAY)),
        ]
        for name, step in steps:
            for where in (str(file), url):
                step(where)
                print(f"  {name:<20} {'PostgreSQL' if where == url else 'SQLite':<11} {occupied(where)}")


def occupied(where: str) -> str:
    with connect(place_of(where), "read") as connection, transaction(connection):
        rows, octets = 0, 0
        for each in SECONDS:
            query = SIZES[connection.dialect.name].format(each.name)
            number, size = connection.exec_driver_sql(query).one()
            if number:  # an emptied partition is dropped when its time has passed
                rows, octets = rows + number, octets + int(size or 0)
    return f"{rows:>7,} rows {octets / 1e3:>9,.0f} kB"


SIZES = {
    "sqlite": "SELECT (SELECT count(*) FROM {0}), (SELECT sum(pgsize) FROM dbstat WHERE name = '{0}')",
    "postgresql": "SELECT (SELECT count(*) FROM {0}), sum(pg_total_relation_size(inhrelid))"
    " FROM pg_inherits WHERE inhparent = '{0}'::regclass",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["fleet", "month", "million", []], default=[])
    parser.add_argument("--writers", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--statements", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=30)
    given = parser.parse_args()
    runs = {
        "fleet": lambda: fleet(given.writers, given.seconds),
        "month": lambda: month(given.statements, given.days),
        "million": million,
    }
    for each in given.what or runs:
        runs[each]()


if __name__ == "__main__":
    main()
