"""The pool against a network and a server that break, through a proxy that breaks them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from applications import DRIVERS, PID, Application, application, assert_works_again, checkout
from proxy import Proxy
from sqlalchemy import exc, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from dbperf.embedded import Server, start
from dbperf.pool import AsyncAdaptivePool

TIMEOUT = 1.0
LATE = 1.25
"""Of the timeout: 1.1 is meant, but machines are loaded."""
SIZE = 3
OURS = {"alive_bypass": 0.0}
Start = Callable[..., Application]


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(Path(server.host) / f".s.PGSQL.{server.port}") as running:
        yield running


@pytest.fixture(params=list(DRIVERS))
def run(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Start]:
    """Start an application with a pool, of ours or (`plain`) SQLAlchemy's, behind a proxy."""
    running: list[Application] = []

    def begin(*, plain: bool = False, to: Proxy = proxy, **options: Any) -> Application:
        url = make_url(f"postgresql://postgres@127.0.0.1:{to.port}/postgres")
        given: dict[str, Any] = {"pool_size": SIZE, "max_overflow": 0, "pool_timeout": TIMEOUT}
        given |= {"pool_pre_ping": True} | ({} if plain else OURS)
        app = application(request.param, url, plain=plain, **(given | options))
        running.append(app)
        return app

    yield begin
    proxy.pass_through()
    for app in running:
        app.close()


def assert_in_time(app: Application, count: int = 1) -> None:
    """So many checkouts fail by their deadline."""
    for error, seconds in app.at_once(checkout, count):
        assert isinstance(error, exc.TimeoutError), error
        assert seconds <= TIMEOUT * LATE


def assert_nothing_lost(app: Application) -> None:
    assert (app.pool.checkedout(), app.pool._line.connecting, len(app.pool._line.waiters)) == (0, 0, 0)
    assert len(set(app.pids(SIZE))) == SIZE
    until = time.monotonic() + 10.0
    while app.pool.checkedout():  # by the pool itself, that asks others whether they are as dead
        assert time.monotonic() < until
        app.do(checkout)


@pytest.mark.once
@pytest.mark.parametrize("count", [1, 2 * SIZE])
def test_idle_connections_go_dark(run: Start, proxy: Proxy, count: int) -> None:
    app = run()
    app.pids(SIZE)
    proxy.blackhole()
    assert_in_time(app, count)
    assert_in_time(app, count)
    proxy.pass_through()
    assert_works_again(app, TIMEOUT)
    assert_nothing_lost(app)


@pytest.mark.once
@pytest.mark.parametrize("count", [1, 2 * SIZE])
def test_dark_from_the_beginning(run: Start, proxy: Proxy, count: int) -> None:
    app = run()
    proxy.blackhole()
    assert_in_time(app, count)
    assert_in_time(app, count)
    proxy.pass_through()
    assert_works_again(app, TIMEOUT)
    assert_nothing_lost(app)


@pytest.mark.once
def test_idle_connections_are_too_old_and_dark(run: Start, proxy: Proxy) -> None:
    """asyncpg waits for 2 s for a server to end a connection."""
    app = run(pool_recycle=0)
    app.pids(SIZE)
    proxy.blackhole()
    time.sleep(0.01)  # pool_recycle is about time itself: older than 0 s
    assert_in_time(app)
    proxy.pass_through()
    assert_works_again(app, TIMEOUT)
    assert_nothing_lost(app)


@pytest.mark.once
def test_dispose_ends_while_it_is_dark(run: Start, proxy: Proxy) -> None:
    app = run(pool_size=10)
    app.pids(10)
    proxy.blackhole()
    begin = time.monotonic()
    app.dispose()
    assert time.monotonic() - begin < 5.0 * LATE


@pytest.mark.once
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_ping_that_is_cancelled_leaves_nothing(proxy: Proxy, driver: str) -> None:
    """Not even its connection: what it still waits for would be the next one's answer."""

    async def check() -> None:
        url = f"postgresql+{driver}://postgres@127.0.0.1:{proxy.port}/postgres"
        engine = create_async_engine(
            url, poolclass=AsyncAdaptivePool, pool_size=1, max_overflow=0, pool_pre_ping=True, **OURS
        )
        async with engine.connect() as one:
            before = await one.scalar(PID)
        pool: Any = engine.pool
        proxy.blackhole()
        connecting = asyncio.create_task(engine.connect().start())
        while not pool.checkedout():  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0)
        connecting.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        # psycopg asks the server to cancel, and gives it 5 s for that, which nobody can make shorter.
        assert time.monotonic() - begin < (5.0 * LATE if driver == "psycopg" else 1.0)
        assert (pool.checkedout(), pool.checkedin()) == (0, 0)
        assert all(each.dbapi_connection is None for each in pool._line.spare)
        proxy.pass_through()
        async with engine.connect() as one:
            assert await one.scalar(PID) != before
        await engine.dispose()

    asyncio.run(check())


@pytest.mark.once
@pytest.mark.parametrize("size", [SIZE, 20])
def test_connections_that_are_dead_where_new_ones_work(run: Start, server: Server, size: int) -> None:
    """A failover: what was open goes nowhere, what is opened now goes to the new server."""
    with Proxy(Path(server.host) / f".s.PGSQL.{server.port}") as dead:
        app = run(to=dead, pool_size=size)
        app.pids(size)
        dead.strand()
        error, seconds = app.do(checkout)
        assert (error, seconds < TIMEOUT * LATE) == (None, True)
        assert_nothing_lost(app)
        app.dispose()


@pytest.mark.parametrize("plain", [True, False])
def test_a_reset_costs_nobody_a_checkout(run: Start, proxy: Proxy, plain: bool) -> None:
    app = run(plain=plain)
    before = app.pids(SIZE)
    proxy.reset()
    assert not set(app.pids(SIZE)) & set(before)
    if not plain:
        assert_nothing_lost(app)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("count", [1, 2 * SIZE])
def test_refused_at_once_and_back_at_once(run: Start, proxy: Proxy, count: int, plain: bool) -> None:
    app = run(plain=plain)
    app.pids(SIZE)
    proxy.refuse()
    proxy.reset()
    for _ in range(2):
        for error, seconds in app.at_once(checkout, count):
            # asyncpg's is an OSError, which SQLAlchemy does not wrap.
            assert isinstance(error, exc.OperationalError | ConnectionRefusedError), error
            assert seconds < 1.0
    proxy.listen()
    assert_works_again(app, 1.0)
    if not plain:
        assert_nothing_lost(app)


@pytest.mark.parametrize("plain", [True, False])
def test_one_that_is_terminated_is_replaced_alone(run: Start, server: Server, plain: bool) -> None:
    app = run(plain=plain)
    before = app.pids(SIZE)
    with psycopg.connect(server.dsn(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", before[-1:])
    after = app.pids(SIZE)
    assert before[-1] not in after
    kept = len(set(before) & set(after))
    assert kept <= SIZE - 1 if plain else kept == SIZE - 1
    if not plain:
        assert_nothing_lost(app)


@pytest.mark.parametrize("size", [SIZE, 10])
def test_processes_of_the_server_that_stand_still(run: Start, server: Server, size: int) -> None:
    app = run(pool_size=size)
    stopped = app.pids(size)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        (pid,) = app.pids(1)  # a new one, for which there must be time
        assert time.monotonic() - begin <= TIMEOUT * LATE
        assert pid not in stopped
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert_nothing_lost(app)


@pytest.fixture(scope="module")
def other() -> Iterator[Server]:
    with start() as running:
        yield running


@pytest.mark.parametrize("plain", [True, False])
def test_the_server_crashes_and_recovers(run: Start, other: Server, plain: bool) -> None:
    """The data of an embedded server go when it stops; but it restarts by itself when a process crashes."""
    with Proxy(Path(other.host) / f".s.PGSQL.{other.port}") as proxy:
        app = run(plain=plain, to=proxy)
        before = app.pids(SIZE)
        os.kill(before[0], signal.SIGKILL)
        begin, now = time.monotonic(), before
        while set(now) & set(before):  # the server takes a moment to see it
            assert time.monotonic() - begin < 20.0
            # asyncpg says that it cannot connect with errors of its own, which SQLAlchemy does not wrap.
            with suppress(exc.DBAPIError, exc.TimeoutError, OSError, asyncpg.PostgresError):
                now = app.pids(SIZE)
        if not plain:
            assert_nothing_lost(app)
        app.dispose()
