"""Outages: our pool and SQLAlchemy's own, behind a proxy that breaks the network.

    uv run python -P tests/bench/pool_outages.py [--rounds 5] [--driver psycopg|psycopg_async|asyncpg ...]

Each row is a time in milliseconds, ours / SQLAlchemy's: the median of the rounds, in which both take turns.
Both ping (`pool_pre_ping`), and wait for `pool_timeout` = 1 s. What is dark or stands still is healed after
3 s: a pool that is not over before has waited for that, and would wait for ever.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import psycopg
from sqlalchemy import exc, make_url

sys.path.insert(0, str(Path(__file__).parents[1]))
from applications import DRIVERS, Application, application, checkout
from proxy import Proxy

from dbperf.embedded import Server, start

SIZE, TIMEOUT, HEALED = 3, 1.0, 3.0
CANNOT = (exc.DBAPIError, exc.TimeoutError, OSError, asyncpg.PostgresError)
"""asyncpg says that it cannot connect with errors of its own, which SQLAlchemy does not wrap."""
Row = Callable[[Application, Proxy, Server], float]
"""Breaks something, and returns how many seconds the application felt it."""


@contextmanager
def healed(heal: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(HEALED, heal)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        heal()


def seconds(work: Callable[[], Any]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def slowest(app: Application, count: int) -> float:
    return max(taken for _, taken in app.at_once(checkout, count))


def until_new(app: Application, before: list[int]) -> float:
    """Until no connection is one of those."""
    begin, now = time.monotonic(), before
    while set(now) & set(before):
        with suppress(*CANNOT):
            now = app.pids(SIZE)
    return time.monotonic() - begin


def terminated(app: Application, proxy: Proxy, server: Server) -> float:
    pids = app.pids(SIZE)
    with psycopg.connect(server.dsn(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", pids[-1:])
    return seconds(lambda: app.pids(SIZE))


def killed(app: Application, proxy: Proxy, server: Server) -> float:
    """With kill -9: the server restarts all its processes, and recovers."""
    pids = app.pids(SIZE)
    os.kill(pids[0], signal.SIGKILL)
    return until_new(app, pids)


def stopped(app: Application, proxy: Proxy, server: Server) -> float:
    pids = app.pids(SIZE)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    with healed(lambda: [os.kill(pid, signal.SIGCONT) for pid in pids] and None):
        return slowest(app, 1)


def reset(app: Application, proxy: Proxy, server: Server) -> float:
    app.pids(SIZE)
    proxy.reset()
    return seconds(lambda: app.pids(SIZE))


def refused(app: Application, proxy: Proxy, server: Server, count: int = 2 * SIZE) -> float:
    app.pids(SIZE)
    proxy.refuse()
    proxy.reset()
    slowest(app, count)
    try:
        return slowest(app, count)
    finally:
        proxy.listen()


def listening_again(app: Application, proxy: Proxy, server: Server) -> float:
    begin = time.monotonic()
    app.pids(SIZE)
    proxy.refuse()
    proxy.reset()
    while time.monotonic() - begin < 0.5:
        slowest(app, 1)
    proxy.listen()
    begin = time.monotonic()
    while app.do(checkout)[0] is not None:
        pass
    return time.monotonic() - begin


def dark(app: Application, proxy: Proxy, server: Server) -> float:
    app.pids(SIZE)
    proxy.blackhole()
    with healed(proxy.pass_through):
        return slowest(app, 1)


def dark_at_first(app: Application, proxy: Proxy, server: Server) -> float:
    proxy.blackhole()
    with healed(proxy.pass_through):
        return slowest(app, 1)


ROWS: dict[str, Row] = {
    "one connection terminated: 3 checkouts": terminated,
    "kill -9: until 3 new ones work": killed,
    "SIGSTOP: 1 checkout": stopped,
    "reset: 3 checkouts": reset,
    "refused: the slowest of 6 errors": refused,
    "listening again after 0.5 s: until 1 works": listening_again,
    "idle ones dark: 1 checkout": dark,
    "dark from the beginning: 1 checkout": dark_at_first,
}


def measured(row: Row, kind: str, server: Server, *, plain: bool) -> float:
    with Proxy(Path(server.host) / f".s.PGSQL.{server.port}") as proxy:
        url = make_url(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
        options: dict[str, Any] = {
            "pool_size": SIZE,
            "max_overflow": 0,
            "pool_timeout": TIMEOUT,
            "pool_pre_ping": True,
        }
        if not plain:
            options["alive_bypass"] = 0.0
        app = application(kind, url, plain=plain, **options)
        try:
            return row(app, proxy, server)
        finally:
            proxy.pass_through()
            app.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--driver", nargs="*", default=list(DRIVERS))
    chosen = parser.parse_args()
    print(f"{'':44}" + "".join(f"{kind:>20}" for kind in chosen.driver))
    for name, row in ROWS.items():
        cells = []
        for kind in chosen.driver:
            with start() as server:
                pairs = [
                    [measured(row, kind, server, plain=plain) * 1e3 for plain in (False, True)]
                    for _ in range(chosen.rounds)
                ]
            ours, plain = (median(each) for each in zip(*pairs, strict=True))
            cells.append(f"{ours:.0f} / {plain:.0f}")
        print(f"{name:44}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
