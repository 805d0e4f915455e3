"""Connections that are dropped without being returned, and those of a process that forks."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine

from dbperf.embedded import Server

PID = "SELECT pg_backend_pid()"


def state(dsn: str, pid: int) -> str | None:
    """What the server says of a backend; None: it is gone."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return row and str(row[0])


def collected(held: list[Any]) -> str:
    """Forget these; what SQLAlchemy warns of then. psycopg warns too, of a connection that nobody closed."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        held.clear()
        gc.collect()
    return " ".join(str(each.message) for each in warned if each.category is SAWarning)


@pytest.mark.parametrize("cycle", [False, True])
def test_threads_get_a_forgotten_connection_back(
    engine_of: Callable[..., sa.Engine], server: Server, database: str, cycle: bool
) -> None:
    engine = engine_of(pool_size=1, max_overflow=0, pool_timeout=20)
    pool: Any = engine.pool
    held: list[Any] = [engine.raw_connection()]
    cursor = held[0].cursor()
    cursor.execute(PID)
    (pid,) = cursor.fetchone()
    assert state(server.dsn(database), pid) == "idle in transaction"
    del cursor
    if cycle:
        held.append(held)
    del held
    gc.collect()
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)
    assert not pool._out
    assert state(server.dsn(database), pid) == "idle"
    with engine.connect() as connection:
        assert connection.scalar(sa.text(PID)) == pid


def test_a_forgotten_connection_goes_to_who_waits(async_engine_of: Callable[..., AsyncEngine]) -> None:
    async def run() -> None:
        engine = async_engine_of(pool_size=1, max_overflow=0, pool_timeout=20)
        pool: Any = engine.pool
        held = [await engine.connect()]
        waiting = asyncio.create_task(engine.connect().start())
        while not pool._line.waiters:  # noqa: ASYNC110  the pool tells nobody
            await asyncio.sleep(0)
        assert "non-checked-in connection" in collected(held)
        connection = await waiting
        assert await connection.scalar(sa.text("SELECT 1")) == 1
        assert pool.checkedout() == 1
        await connection.close()
        await engine.dispose()

    asyncio.run(run())


def test_coroutines_lose_a_forgotten_connection_but_no_permit(
    async_engine_of: Callable[..., AsyncEngine], server: Server, database: str
) -> None:
    async def run() -> None:
        engine = async_engine_of(pool_size=2, max_overflow=0, pool_timeout=20)
        pool: Any = engine.pool
        held = [await engine.connect() for _ in range(2)]
        pids = [int(await each.scalar(sa.text(PID)) or 0) for each in held]
        assert "non-checked-in connection" in collected(held)
        assert (pool.checkedout(), pool.checkedin(), pool._line.connecting) == (0, 0, 0)
        assert not pool._out
        deadline = time.monotonic() + 20
        while any(state(server.dsn(database), pid) for pid in pids):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        async with engine.connect() as one, engine.connect() as other:
            assert not {await each.scalar(sa.text(PID)) for each in (one, other)} & set(pids)
        await engine.dispose()

    asyncio.run(run())


FORK = """
import gc, os, sys
import sqlalchemy as sa
from dbperf.pool import AdaptivePool
engine = sa.create_engine(sys.argv[1], poolclass=AdaptivePool, pool_size=2, max_overflow=0, pool_timeout=5)
pid = sa.text("SELECT pg_backend_pid()")
held, idle = engine.connect(), engine.connect()
ours = held.scalar(pid)
idle.close()
child = os.fork()
if not child:
    pool = engine.pool
    right = (pool.checkedout(), pool.checkedin()) == (0, 0)
    with engine.connect() as one, engine.connect() as other:
        right = right and ours not in (one.scalar(pid), other.scalar(pid))
    del held, idle  # of the parent: it must neither come into this pool nor be rolled back, or closed
    gc.collect()
    right = right and (pool.checkedout(), pool.checkedin()) == (0, 2)
    os._exit(0 if right else 1)
assert os.waitpid(child, 0)[1] == 0
assert held.scalar(pid) == ours
held.close()
assert (engine.pool.checkedout(), engine.pool.checkedin()) == (0, 2)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_all_permits_and_its_parent_keeps_its_own(psycopg_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, psycopg_url], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
