"""Where the time of a statement goes: waiting for a connection, executing, fetching.

Times are compared with times of the same run, one of which lies within the other: none is asserted by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import dbperf
from dbperf.model.workload import Statement, Workload

Only = Callable[[Any, str], Statement]
WORK = sa.text("select pg_sleep(0.05) as work")
ROW_BY_ROW = sa.select(sa.func.pg_sleep(0.004)).select_from(sa.func.generate_series(1, 20))
"""Twenty rows, each of which takes the server its time: one that streams works while it is fetched."""


WAITERS: dict[str, Callable[[Any], Any]] = {
    "adaptive": lambda pool: pool._line.waiters,
    "sqlalchemy": lambda pool: pool._pool.not_empty._waiters,
}


@pytest.mark.parametrize("pool_of", WAITERS)
def test_the_wait_for_a_connection_is_of_the_statement_that_waited(
    psycopg_url: str, only: Only, pool_of: str
) -> None:
    settings = dbperf.Settings(pool=pool_of)
    engine = dbperf.create_engine(psycopg_url, pool_size=1, max_overflow=0, dbperf=settings)

    def wait() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("select 1 as waited"))
            connection.execute(sa.text("select 1 as afterwards"))

    with engine.connect() as connection:
        connection.execute(sa.text("select 1 as holder"))
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not WAITERS[pool_of](engine.pool):
            os.sched_yield()
        connection.execute(WORK)
    waiting.join()
    waited, work = only(engine, "waited"), only(engine, "work")
    assert waited.wait_seconds >= work.execute_seconds > waited.execute_seconds
    assert only(engine, "afterwards").wait_seconds == work.wait_seconds == 0
    assert only(engine, "holder").wait_seconds < waited.wait_seconds
    (pool,) = dbperf.perf(engine).workload().pools
    assert (pool.checkouts, pool.busiest, pool.limit, pool.timeouts) == (2, 1, 1, 0)
    assert pool.wait_seconds >= waited.wait_seconds
    engine.dispose()


def test_a_wait_that_ended_without_a_connection_is_the_pools_alone(psycopg_url: str, only: Only) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_size=1, max_overflow=0, pool_timeout=0.5)
    with engine.connect() as connection:
        with pytest.raises(sa.exc.TimeoutError):
            engine.connect()
        connection.execute(sa.text("select 1 as holder"))
    (pool,) = dbperf.perf(engine).workload().pools
    assert (pool.checkouts, pool.timeouts) == (1, 1)
    assert pool.wait_seconds > only(engine, "holder").wait_seconds
    engine.dispose()


def test_a_buffered_result_is_work_of_executing(postgres: sa.Engine, only: Only) -> None:
    with postgres.connect() as connection:
        assert len(connection.execute(ROW_BY_ROW).all()) == 20
    statement = only(postgres, "pg_sleep")
    assert statement.execute_seconds > statement.fetch_seconds > 0
    assert statement.rows == 20


@pytest.mark.parametrize("options", [{"stream_results": True, "max_row_buffer": 4}, {"yield_per": 4}])
def test_a_server_side_cursor_works_while_it_is_fetched(
    postgres: sa.Engine, only: Only, options: dict[str, Any]
) -> None:
    with postgres.connect() as connection:
        result = connection.execute(ROW_BY_ROW, execution_options=options)
        started = perf_counter()
        assert len(list(result)) == 20
        outside = perf_counter() - started
    statement = only(postgres, "pg_sleep")
    assert statement.fetch_seconds > statement.execute_seconds
    assert statement.fetch_seconds > outside / 2
    assert statement.rows == 20


def test_a_stream_works_while_it_is_fetched(
    async_url: str, only: Only, asynchronously: Callable[..., Workload]
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            result = await connection.stream(ROW_BY_ROW, execution_options={"yield_per": 4})
            assert len([row async for row in result]) == 20

    statement = only(asynchronously(async_url, work), "pg_sleep")
    assert statement.fetch_seconds > statement.execute_seconds
    assert (statement.calls, statement.rows) == (1, 20)


def test_sqlite_works_while_it_is_fetched(tmp_path: Any, only: Only) -> None:
    engine = dbperf.create_engine(f"sqlite:///{tmp_path}/app.sqlite")
    numbers = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select i from n"
    )
    with engine.connect() as connection:
        assert len(connection.exec_driver_sql(numbers).all()) == 20_000
    statement = only(engine, "recursive")
    assert statement.fetch_seconds > statement.execute_seconds
    assert statement.rows == 20_000
    engine.dispose()


def test_connecting_and_pinging_are_apart(psycopg_url: str, only: Only) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_pre_ping=True, dbperf=dbperf.Settings(pool="sqlalchemy"))
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(sa.text("select 1 as asked"))
    (pool,) = dbperf.perf(engine).workload().pools
    assert (pool.checkouts, pool.connects, pool.pings) == (3, 1, 2)
    assert min(pool.connect_seconds, pool.wait_seconds, pool.ping_seconds) > 0
    (statement,) = dbperf.perf(engine).workload().statements  # neither a ping nor what the dialect asks
    assert statement.calls == 3
    engine.dispose()


def test_a_dead_connection_is_noticed_and_replaced(psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_pre_ping=True, dbperf=dbperf.Settings(pool="sqlalchemy"))
    with engine.connect() as connection:
        pid = connection.execute(sa.text("select pg_backend_pid()")).scalar_one()
    other = sa.create_engine(psycopg_url)
    with other.connect() as connection:
        connection.execute(sa.text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.dispose()
    with engine.connect() as connection:
        assert connection.execute(sa.text("select pg_backend_pid()")).scalar_one() != pid
    (pool,) = dbperf.perf(engine).workload().pools
    assert (pool.checkouts, pool.connects, pool.connect_errors) == (2, 2, 0)
    engine.dispose()


def test_a_server_that_is_not_there(psycopg_url: str) -> None:
    nowhere = sa.make_url(psycopg_url).set(query={"host": "/nowhere"})
    engine = dbperf.create_engine(nowhere)
    for _ in range(2):
        with pytest.raises(sa.exc.OperationalError):
            engine.connect()
    (pool,) = dbperf.perf(engine).workload().pools
    assert (pool.checkouts, pool.connects, pool.connect_errors) == (0, 0, 2)


@pytest.mark.parametrize("way", ["raw_connection", "copy"])
def test_what_the_driver_is_used_for_by_itself_shows_as_time_held(postgres: sa.Engine, way: str) -> None:
    with postgres.begin() as connection:
        connection.execute(sa.text("create table t (a int)"))
    if way == "raw_connection":
        raw: Any = postgres.raw_connection()
        raw.cursor().execute("insert into t select generate_series(1, 3)")
        raw.commit()
        raw.close()
    else:
        with postgres.begin() as connection:
            cursor: Any = connection.connection.cursor()
            with cursor.copy("copy t from stdin") as copy:
                copy.write("1\n2\n3\n")
            cursor.close()
    (pool,) = dbperf.perf(postgres).workload().pools
    assert (pool.checkouts, pool.raw_checkouts) == (2, 1)
    assert pool.held_seconds > pool.raw_seconds > 0
    with postgres.connect() as connection:
        assert connection.execute(sa.text("select count(*) from t")).scalar_one() == 3
