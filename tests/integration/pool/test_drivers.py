"""What the drivers tell of a connection, and what becomes of a ping that is interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from proxy import Proxy
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util.concurrency import greenlet_spawn

from dbperf.embedded import Server
from dbperf.pool import loop_deadline, watchdog
from dbperf.pool.drivers import activity, interrupt

ASYNC = ["psycopg", "asyncpg"]
SOON = 0.05


def test_activity_of_a_thread(psycopg_url: str) -> None:
    engine = create_engine(psycopg_url)
    with engine.connect() as one:
        connection = one.connection.dbapi_connection
        assert activity(connection) == "idle"
        one.execute(text("SELECT 1"))
        assert activity(connection) == "idle_in_transaction"
        one.rollback()
        assert activity(connection) == "idle"
    engine.dispose()
    assert activity(connection) == "unknown"
    assert activity(None) == activity(object()) == "unknown"


@pytest.mark.parametrize("driver", ASYNC)
def test_activity_of_a_task(server: Server, driver: str) -> None:
    async def check() -> None:
        engine = create_async_engine(server.url(driver))
        async with engine.connect() as one:
            connection = (await one.get_raw_connection()).dbapi_connection
            assert activity(connection) == "idle"
            asking = asyncio.create_task(one.execute(text("SELECT pg_sleep(0.1)")))
            while not asking.done() and activity(connection) != "executing":  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0)
            assert not asking.done()
            await asking
            assert activity(connection) == "idle_in_transaction"
        await engine.dispose()
        assert activity(connection) == "unknown"

    asyncio.run(check())


def test_a_thread_s_ping_that_is_interrupted_is_a_disconnect(server: Server) -> None:
    with Proxy(Path(server.host) / f".s.PGSQL.{server.port}") as proxy:
        engine = create_engine(f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres")
        with engine.connect() as one:
            connection: Any = one.connection.dbapi_connection
            proxy.blackhole()
            begin = monotonic()
            with watchdog.Guard(connection, begin + SOON) as guard:
                assert engine.dialect._do_ping_w_event(connection) is False
            assert guard.fired
            assert SOON <= monotonic() - begin < 1.0
            one.invalidate()
        assert not interrupt(connection)  # closed
        engine.dispose()


@pytest.mark.parametrize("driver", ASYNC)
def test_a_task_s_ping_that_is_interrupted_is_a_disconnect(server: Server, driver: str) -> None:
    async def check(port: int) -> None:
        engine = create_async_engine(f"postgresql+{driver}://postgres@127.0.0.1:{port}/postgres")
        async with engine.connect() as one:
            connection: Any = (await one.get_raw_connection()).dbapi_connection
            proxy.blackhole()
            begin = monotonic()
            with loop_deadline.Guard(connection, begin + SOON) as guard:
                assert await greenlet_spawn(engine.dialect._do_ping_w_event, connection) is False
            assert guard.fired
            assert SOON * 0.9 <= monotonic() - begin < 1.0
            await one.invalidate()
        await engine.dispose()

    with Proxy(Path(server.host) / f".s.PGSQL.{server.port}") as proxy:
        asyncio.run(check(proxy.port))


def test_what_cannot_be_interrupted() -> None:
    assert not interrupt(None)
    assert not interrupt(object())
