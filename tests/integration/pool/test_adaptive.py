"""What users of SQLAlchemy's pool expect of ours, and what it promises beyond."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from dbperf.pool import AdaptivePool, AsyncAdaptivePool

EngineOf = Callable[..., sa.Engine]
AsyncEngineOf = Callable[..., AsyncEngine]


def pool_of(engine: sa.Engine | AsyncEngine) -> Any:
    return engine.pool


def backend(connection: sa.Connection) -> int:
    return int(connection.scalar(sa.text("SELECT pg_backend_pid()")) or 0)


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread; a minute is for ever."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_connection_is_used_again(engine_of: EngineOf) -> None:
    engine = engine_of()
    with engine.connect() as connection:
        first = backend(connection)
    with engine.connect() as connection:
        assert backend(connection) == first
        assert (pool_of(engine).checkedout(), pool_of(engine).checkedin()) == (1, 0)
    assert (pool_of(engine).checkedout(), pool_of(engine).checkedin()) == (0, 1)


def test_the_one_used_last_is_taken_first(engine_of: EngineOf) -> None:
    engine = engine_of()
    with engine.connect() as one, engine.connect() as other:
        pids = [backend(one), backend(other)]
        one.close()
        other.close()
    with engine.connect() as connection:
        assert backend(connection) == pids[1]


def test_a_size_that_is_given_is_a_hard_cap_and_the_error_says_who_holds(engine_of: EngineOf) -> None:
    engine = engine_of(pool_size=1, max_overflow=1, pool_timeout=0.05)
    with engine.connect(), engine.connect():
        with pytest.raises(PoolTimeout) as raised:
            engine.connect()
        told = str(raised.value)
        assert "none came free within 0.05 s; 2 of 2 are in use (at most 2)" in told
        here = "test_a_size_that_is_given_is_a_hard_cap_and_the_error_says_who_holds)"
        assert told.count("MainThread for") == 2
        assert told.count(here) == 2
    assert pool_of(engine).checkedin() == 1  # what is beyond pool_size is not kept


def test_a_line_that_is_full_is_refused(engine_of: EngineOf) -> None:
    engine = engine_of(pool_size=1, max_overflow=0, max_waiting=0)
    with engine.connect(), pytest.raises(PoolTimeout, match="0 wait already, and no more may"):
        engine.connect()
    assert pool_of(engine).metrics.counts()["refused"] == 1


def test_a_timeout_of_0_waits_for_nobody_and_yet_connects(engine_of: EngineOf) -> None:
    engine = engine_of(pool_size=1, max_overflow=0, pool_timeout=0)
    with engine.connect() as connection:
        assert backend(connection)
        with pytest.raises(PoolTimeout):
            engine.connect()


def test_who_waits_longest_is_served_first(engine_of: EngineOf) -> None:
    engine, served = engine_of(pool_size=1, max_overflow=0), []

    def wait(number: int) -> None:
        with engine.connect():
            served.append(number)

    line, connection = pool_of(engine)._line, engine.connect()
    with ThreadPoolExecutor(8) as threads:
        for number in range(8):
            threads.submit(wait, number)
            until(lambda: len(line.waiters) > number)  # noqa: B023  called at once
        connection.close()
    assert served == list(range(8))


def test_coroutines_are_served_in_turn(async_engine_of: AsyncEngineOf) -> None:
    async def main() -> list[int]:
        engine, served = async_engine_of(pool_size=1, max_overflow=0), []

        async def wait(number: int) -> None:
            async with engine.connect() as connection:
                served.append(await connection.scalar(sa.text(f"SELECT {number}")))

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(wait(number))
        assert pool_of(engine).checkedout() == 0
        await engine.dispose()
        return served

    assert asyncio.run(main()) == list(range(20))


def test_a_coroutine_gives_up_at_its_timeout(async_engine_of: AsyncEngineOf) -> None:
    async def main() -> None:
        engine = async_engine_of(pool_size=1, max_overflow=0, pool_timeout=0.05)
        async with engine.connect():
            with pytest.raises(PoolTimeout, match=r"Task-\d+ for .* .*main\)"):
                await engine.connect()
        async with engine.connect() as connection:
            assert await connection.scalar(sa.text("SELECT 1")) == 1
        await engine.dispose()

    asyncio.run(main())


def test_one_engine_in_loop_after_loop(async_engine_of: AsyncEngineOf) -> None:
    engine = async_engine_of(pool_size=2, max_overflow=0)

    async def main() -> None:
        for _ in range(2):
            async with engine.connect() as one, engine.connect() as other:
                assert await one.scalar(sa.text("SELECT 1")) == await other.scalar(sa.text("SELECT 1"))
        await engine.dispose()

    for _ in range(3):
        asyncio.run(main())


def test_more_may_be_in_use_at_once_when_a_queue_pays(engine_of: EngineOf) -> None:
    engine = engine_of(max_size=40)
    everybody = threading.Barrier(40)

    def work() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
            everybody.wait(60)  # each holds a connection in a transaction until all have one

    with ThreadPoolExecutor(40) as threads:
        for each in [threads.submit(work) for _ in range(40)]:
            each.result()
    changes = pool_of(engine).changes
    assert changes[-1].after == 40
    assert all(each.kind and each.reason for each in changes)
    assert pool_of(engine).checkedin() <= 40


def test_a_share_of_the_server_is_the_cap(engine_of: EngineOf) -> None:
    ours, theirs = engine_of(), engine_of()
    shares = []
    for engine in (ours, theirs):
        with engine.connect():
            pass
        pool_of(engine)._chores.run()
        shares.append(pool_of(engine).cap())
    with ours.connect() as connection:
        allowed = connection.scalar(
            sa.text(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
                " - current_setting('reserved_connections')::int"
            )
        )
    assert shares == [int(allowed * 0.9), int(allowed * 0.9 / 2)]
    assert pool_of(ours).cap_of() == "fleet"


def test_a_question_that_fails_leaves_nobody_an_aborted_transaction(psycopg_url: str) -> None:
    """Hardened servers do not let everybody read pg_roles."""
    admin = sa.create_engine(psycopg_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE hardened"))
        connection.execute(sa.text("CREATE ROLE stranger LOGIN"))
    url = sa.make_url(psycopg_url).set(database="hardened")
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text("REVOKE SELECT ON pg_catalog.pg_roles FROM PUBLIC"))
    engine = sa.create_engine(url.set(username="stranger"), poolclass=AdaptivePool)
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT 1")) == 1
        pool_of(engine)._chores._ask_at = 0.0
        pool_of(engine)._chores.run()
        assert pool_of(engine)._chores._ask_at > time.monotonic() + 10  # not each second
    assert pool_of(engine)._chores.share is None
    assert pool_of(engine).checkedout() == 0
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE hardened"))
        connection.execute(sa.text("DROP ROLE stranger"))


def test_an_invalidated_connection_is_replaced(engine_of: EngineOf) -> None:
    engine = engine_of()
    with engine.connect() as connection:
        first = backend(connection)
        connection.invalidate()
        connection.rollback()
        assert backend(connection) != first
    pool = pool_of(engine)
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)


def test_a_detached_connection_is_the_pools_no_more(engine_of: EngineOf) -> None:
    engine = engine_of(pool_size=1, max_overflow=0, pool_timeout=5)
    with engine.connect() as connection:
        connection.detach()
        with engine.connect() as other:
            assert backend(other) != backend(connection)


def test_a_dead_connection_is_replaced_where_it_is_pinged(engine_of: EngineOf) -> None:
    engine = engine_of(pool_pre_ping=True, alive_bypass=0.0)
    with engine.connect() as one, engine.connect() as other:
        pids = [backend(one), backend(other)]
    with engine.connect() as connection:
        killer = backend(connection)
        (victim,) = [each for each in pids if each != killer]
        connection.execute(sa.text(f"SELECT pg_terminate_backend({victim}, 5000)"))
        with engine.connect() as other:
            assert backend(other) not in pids
    with engine.connect() as connection:
        assert backend(connection) != victim


def test_no_ping_right_after_use(engine_of: EngineOf) -> None:
    engine = engine_of(pool_pre_ping=True, alive_bypass=60.0, max_size=5)
    for _ in range(3):
        with engine.connect():
            pass
    assert pool_of(engine)._ready.spared == 2
    pool_of(engine).tick(0.0)
    pool_of(engine).tick(0.0)
    assert pool_of(engine).metrics.counts()["spared_pings"] == 2


def test_what_is_old_is_closed_when_it_comes_back(engine_of: EngineOf) -> None:
    engine = engine_of(max_lifetime=1e-6)
    with engine.connect() as connection:
        first = backend(connection)
    assert pool_of(engine).checkedin() == 0
    with engine.connect() as connection:
        assert backend(connection) != first


def test_recycled_as_sqlalchemy_does(engine_of: EngineOf) -> None:
    engine = engine_of(pool_recycle=0)
    with engine.connect() as connection:
        first = backend(connection)
    with engine.connect() as connection:
        assert backend(connection) != first


def test_unused_connections_are_closed(engine_of: EngineOf) -> None:
    engine = engine_of(max_size=5, max_idle=0.0)
    with engine.connect(), engine.connect(), engine.connect():
        pass
    pool = pool_of(engine)
    pool._chores.run()
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)
    assert pool.metrics.counts()["retired.unused"] == 2


def test_what_fails_to_connect_fails_everybody_who_waits_for_it(psycopg_url: str) -> None:
    url = sa.make_url(psycopg_url).set(database="nowhere")
    engine = sa.create_engine(url, poolclass=AdaptivePool, pool_timeout=30, max_size=8)
    with ThreadPoolExecutor(16) as threads:
        errors = [each.exception() for each in [threads.submit(engine.connect) for _ in range(16)]]
    assert all(isinstance(each, OperationalError) for each in errors)
    pool = pool_of(engine)
    assert (pool.checkedout(), pool._line.connecting, len(pool._line.waiters)) == (0, 0, 0)


def test_a_leak_is_told_with_the_line_that_took_it(
    engine_of: EngineOf, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(leak_after=0.0)
    with caplog.at_level(logging.WARNING, "dbperf.pool"):
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
            pool_of(engine).tick(0.0)
            pool_of(engine).tick(0.0)
        told, returned = [each.getMessage() for each in caplog.records]
    assert "MainThread" in told
    assert f'File "{os.path.abspath(__file__)}"' in told
    assert "returned after all" in returned
    ((site, counts),) = pool_of(engine).metrics.by_site().items()
    assert site[2] == "test_a_leak_is_told_with_the_line_that_took_it"
    assert (counts["leaks"], counts["leaks_returned"]) == (1, 1)
    assert counts["idle_in_transaction_ns"] > 0


def test_what_executes_is_no_leak(engine_of: EngineOf) -> None:
    engine = engine_of(leak_after=0.0)
    pool = pool_of(engine)

    def sleep() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_sleep(0.3)"))

    thread = threading.Thread(target=sleep)
    thread.start()
    states = set()
    while thread.is_alive():
        states.update(each for _, _, each in pool_held(pool))
    thread.join()
    assert "executing" in states


def pool_held(pool: Any) -> list[Any]:
    from dbperf.pool.control import held_now

    return held_now(pool._out.copy().items())


def test_a_pool_goes_on_in_the_place_of_one_disposed_of(engine_of: EngineOf) -> None:
    engine = engine_of(pool_size=3, max_overflow=1, pool_pre_ping=True, max_lifetime=77.0)
    with engine.connect():
        pass
    before = pool_of(engine)
    engine.dispose()
    after = pool_of(engine)
    assert after is not before
    assert before.checkedin() == 0
    assert after._options == before._options
    assert after.metrics is before.metrics


def test_events(engine_of: EngineOf) -> None:
    engine, seen = engine_of(), []
    for name in ("connect", "checkout", "checkin", "close", "reset", "invalidate"):
        sa.event.listen(engine, name, lambda *_, name=name: seen.append((name, threading.get_ident())))
    with engine.connect():
        pass
    engine.dispose()
    here = threading.get_ident()
    assert seen == [(each, here) for each in ("connect", "checkout", "reset", "checkin", "close")]


def test_status(engine_of: EngineOf) -> None:
    engine = engine_of(pool_size=5, max_overflow=10)
    with engine.connect():
        assert pool_of(engine).status() == (
            "Pool size: 5  Connections in pool: 0 Current Overflow: -4 Current Checked out connections: 1 "
            "Limit: 15 of at most 15 Waiting: 0"
        )


def test_an_async_engine_refuses_the_pool_of_threads(asyncpg_url: str, psycopg_url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    with pytest.raises(sa.exc.ArgumentError, match="AdaptivePool cannot be used with asyncio engine"):
        create_async_engine(asyncpg_url, poolclass=AdaptivePool)
    with pytest.raises(sa.exc.ArgumentError, match="AsyncAdaptivePool cannot be used with non-asyncio"):
        sa.create_engine(psycopg_url, poolclass=AsyncAdaptivePool)


FORK = """
import os, sys
import sqlalchemy as sa
from dbperf.pool import AdaptivePool
engine = sa.create_engine(sys.argv[1], poolclass=AdaptivePool)
def ask():
    with engine.connect() as connection:
        return connection.scalar(sa.text("SELECT pg_backend_pid()"))
parents = ask()
child = os.fork()
if not child:
    os._exit(0 if ask() != parents and engine.pool.checkedin() == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
assert ask() == parents
"""


def test_a_forked_child_has_connections_of_its_own(psycopg_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, psycopg_url], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
