"""Errors, timeouts and cancellations are told apart, and each is counted once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import dbperf
from dbperf.model.workload import Statement, Workload

Only = Callable[[Any, str], Statement]
SLEEP = sa.text("select pg_sleep(60) as slept")
SLEEPING = sa.text(
    "select count(*) from pg_stat_activity where query ~ 'pg_sleep.60.' and state = 'active'"
    " and datname = current_database() and pid <> pg_backend_pid()"
)
"""How many do, others than who asks."""


def counts(statement: Statement) -> tuple[int, int, int, int]:
    return statement.calls, statement.errors, statement.timeouts, statement.cancellations


def test_errors_by_class(postgres: sa.Engine, only: Only) -> None:
    failing = {"1 / 0 as divided": "DivisionByZero", "nothing as missing": "UndefinedColumn"}
    for sql, name in failing.items():
        for _ in range(2):
            with pytest.raises(sa.exc.DBAPIError), postgres.connect() as connection:
                connection.execute(sa.text(f"select {sql}"))
        statement = only(postgres, sql.split()[-1])
        assert counts(statement) == (2, 2, 0, 0)
        assert (statement.failures, statement.latency.count) == (((name, 2),), 2)


def test_one_line_may_fail_in_many_ways(postgres: sa.Engine, only: Only) -> None:
    with postgres.begin() as connection:
        connection.execute(sa.text("create table t (a int primary key check (a < 10))"))
    for value, error in ((1, None), (1, sa.exc.IntegrityError), (11, sa.exc.IntegrityError), (2, None)):
        with postgres.connect() as connection:
            if error is None:
                connection.execute(sa.text("insert into t values (:a)"), {"a": value})
                connection.commit()
            else:
                with pytest.raises(error):
                    connection.execute(sa.text("insert into t values (:a)"), {"a": value})
    inserted = only(postgres, "insert into t")
    assert counts(inserted) == (4, 2, 0, 0)
    assert dict(inserted.failures) == {"UniqueViolation": 1, "CheckViolation": 1}
    assert inserted.rows == 2


def test_an_error_of_sqlite(tmp_path: Any, only: Only) -> None:
    engine = dbperf.create_engine(f"sqlite:///{tmp_path}/app.sqlite")
    with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
        connection.execute(sa.text("select missing"))
    assert counts(only(engine, "missing")) == (1, 1, 0, 0)
    engine.dispose()


@pytest.mark.parametrize(
    ("setting", "statement", "name"),
    [
        ("statement_timeout", "select pg_sleep(60) as slept", "QueryCanceled"),
        ("lock_timeout", "select count(*) as slept from held", "LockNotAvailable"),
    ],
)
def test_a_timeout_of_the_server(
    postgres: sa.Engine, only: Only, setting: str, statement: str, name: str
) -> None:
    with postgres.begin() as connection:
        connection.execute(sa.text("create table held (a int)"))
    with postgres.begin() as holder, postgres.connect() as connection:
        holder.execute(sa.text("lock table held in access exclusive mode"))
        connection.execute(sa.text(f"set {setting} = '10ms'"))
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text(statement))
    timed_out = only(postgres, "slept")
    assert counts(timed_out) == (1, 0, 1, 0)
    assert timed_out.failures == ((name, 1),)


def test_somebody_cancels(postgres: sa.Engine, only: Only) -> None:
    pid: list[int] = []
    known = threading.Event()

    def sleep() -> None:
        with postgres.connect() as connection:
            pid.append(connection.execute(sa.text("select pg_backend_pid()")).scalar_one())
            known.set()
            with pytest.raises(sa.exc.OperationalError):
                connection.execute(SLEEP)

    sleeping = threading.Thread(target=sleep)
    sleeping.start()
    assert known.wait(10)
    with postgres.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(SLEEPING).scalar_one():
            os.sched_yield()
        connection.execute(sa.text("select pg_cancel_backend(:pid)"), {"pid": pid[0]})
    sleeping.join()
    assert counts(only(postgres, "slept")) == (1, 0, 0, 1)


def test_a_fetch_that_fails_is_a_failure_of_its_statement(postgres: sa.Engine, only: Only) -> None:
    query = sa.text("select 1 / (50 - i) as late from generate_series(1, 100) as n(i)")
    with pytest.raises(sa.exc.DBAPIError), postgres.connect() as connection:
        list(connection.execute(query, execution_options={"yield_per": 10}))
    assert counts(only(postgres, "late")) == (1, 1, 0, 0)


@pytest.mark.parametrize("way", ["cancel", "timeout"])
def test_asyncio_ends_a_statement(
    async_url: str, only: Only, asynchronously: Callable[..., Workload], way: str
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async def sleep(begun: asyncio.Event) -> None:
            async with engine.connect() as connection:
                await connection.execute(sa.text("select 1"))
                begun.set()
                await connection.execute(SLEEP)

        task = asyncio.create_task(sleep(begun := asyncio.Event()))
        await begun.wait()
        if way == "cancel":
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                while not (await connection.execute(SLEEPING)).scalar_one():
                    pass
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0.05)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    assert counts(only(asynchronously(async_url, work), "slept")) == (1, 0, 0, 1)
