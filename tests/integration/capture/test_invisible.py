"""An application sees nothing of dbperf: the same results, errors, events and pools as without."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool, SingletonThreadPool, StaticPool

import dbperf

POOLS = [QueuePool, NullPool, StaticPool, SingletonThreadPool]
OF_CONNECTIONS = [
    "before_execute",
    "after_execute",
    "before_cursor_execute",
    "after_cursor_execute",
    "begin",
    "commit",
    "rollback",
    "savepoint",
    "release_savepoint",
    "rollback_savepoint",
]
OF_POOLS = ["connect", "first_connect", "checkout", "checkin", "reset"]


def statements(engine: sa.Engine) -> list[Any]:
    """What an application does, and what it gets."""
    got: list[Any] = []
    with engine.begin() as connection:
        connection.execute(sa.text("create table t (a integer primary key, b text)"))
        insert = sa.text("insert into t values (:a, :b)")
        result = connection.execute(insert, [{"a": each, "b": str(each)} for each in range(200)])
        got.append((result.rowcount, result.returns_rows))
        with connection.begin_nested():
            got.append(connection.execute(sa.text("update t set b = 'x' where a < 5")).rowcount)
    with engine.connect() as connection:
        query = sa.text("select a, b from t order by a")
        got += [list(connection.execute(query).keys()), connection.execute(query).fetchmany(3)]
        got.append(pickle.loads(pickle.dumps(connection.execute(query).all())))
        got.append(connection.execute(query, execution_options={"yield_per": 7}).scalars().all())
        got.append(connection.execute(query).mappings().first())
        got += [connection.execute(query).unique().all()[-1], connection.scalar(query)]
        result = connection.execute(query)
        got += [result.fetchone(), result.closed, result.close(), result.closed]
    with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        got.append(session.execute(query).freeze()().all())
    got += [repr(engine), engine.pool.status().partition(" ")[0], type(engine.pool)]
    return got


def failures(engine: sa.Engine) -> list[Any]:
    """Errors of executing, of fetching, of many and of a closed result: each with its frames."""

    def fetch(connection: sa.Connection) -> None:
        options = {"stream_results": True, "max_row_buffer": 10}
        query = sa.text("select 1 / (50 - i) from generate_series(1, 100) as n(i)")
        list(connection.execute(query, execution_options=options))

    def closed(connection: sa.Connection) -> None:
        result = connection.execute(sa.text("select 1"))
        result.close()
        result.all()

    def many(connection: sa.Connection) -> None:
        connection.execute(sa.text("insert into missing values (:a)"), [{"a": 1}, {"a": 2}])

    def in_a_failed_transaction(connection: sa.Connection) -> None:
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text("select missing"))
        connection.execute(sa.text("select 1"))

    def one(connection: sa.Connection) -> None:
        connection.execute(sa.text("select generate_series(1, 3)")).one()

    told = []
    for act in (fetch, closed, many, in_a_failed_transaction, one):
        with pytest.raises(sa.exc.SQLAlchemyError) as caught, engine.connect() as connection:
            act(connection)
        chain: list[BaseException | None] = [caught.value, getattr(caught.value, "orig", None)]
        frames = [
            (frame.filename, frame.lineno)
            for error in chain
            if error is not None
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        told.append((act.__name__, [type(each) for each in chain], str(caught.value), frames))
    return told


def heard(engine: sa.Engine) -> list[str]:
    """The events of an engine and its pool, in their order."""
    names: list[str] = []
    for name in OF_CONNECTIONS:
        event.listen(engine, name, lambda *args, name=name: names.append(name))
    for name in OF_POOLS:
        event.listen(engine.pool, name, lambda *args, name=name: names.append(name))
    event.listen(engine, "handle_error", lambda context: names.append(str(context.original_exception)))
    statements(engine)
    with pytest.raises(sa.exc.DBAPIError), engine.connect() as connection:
        connection.execute(sa.text("select missing"))
    return names


def both(url: str, look: Callable[[sa.Engine], Any], **kw: Any) -> tuple[Any, Any]:
    """What is seen of an engine without dbperf and of one that it measures, each in a database as it was."""
    measured = partial(dbperf.create_engine, dbperf=dbperf.Settings(pool="sqlalchemy"))
    seen = []
    for create in (sa.create_engine, measured):
        engine = create(url, **kw)
        seen.append(look(engine))
        with engine.begin() as connection:
            connection.execute(sa.text("drop table if exists t"))
        engine.dispose()
    return seen[0], seen[1]


@pytest.mark.parametrize("pool", [None, *POOLS])
def test_results_and_events(url: str, pool: type[sa.Pool] | None) -> None:
    chosen = {} if pool is None else {"poolclass": pool}
    without, with_ = both(url, statements, **chosen)
    assert with_ == without
    without, with_ = both(url, heard, **chosen)
    assert with_ == without
    assert "checkout" in with_


def test_errors_and_their_tracebacks(psycopg_url: str) -> None:
    without, with_ = both(psycopg_url, failures)
    assert with_ == without


@pytest.mark.parametrize("pool", POOLS)
def test_nothing_is_left_after_close(url: str, pool: type[sa.Pool]) -> None:
    engine = sa.create_engine(url, poolclass=pool)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    before = dict(vars(engine.pool)), dict(vars(engine.dialect))
    handle = dbperf.instrument(engine)
    assert dict(vars(engine.pool)) != before[0]
    with engine.connect() as connection:
        connection.execute(sa.text("select 1 as asked"))
    handle.close()
    assert (dict(vars(engine.pool)), dict(vars(engine.dialect))) == before
    with engine.connect() as connection:
        connection.execute(sa.text("select 1 as asked"))
        assert "_dbperf" not in vars(connection.connection._connection_record)
    (statement,) = handle.workload().statements
    assert statement.calls == 1
    engine.dispose()


@pytest.mark.parametrize("pool", POOLS)
def test_a_pool_that_takes_its_place_is_watched_too(url: str, pool: type[sa.Pool]) -> None:
    engine = dbperf.create_engine(url, poolclass=pool)
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(sa.text("select 1 as asked"))
        engine.dispose()
    with engine.connect() as connection:
        connection.execute(sa.text("select 1 as asked"))
    handle = dbperf.perf(engine)
    (watched,) = handle.workload().pools
    assert (watched.name, watched.checkouts, watched.connects) == (pool.__name__, 3, 3)
    handle.close()
    ours = [name for name, value in vars(engine.pool).items() if "dbperf" in getattr(value, "__module__", "")]
    assert ours == []
    engine.dispose()
    with engine.connect() as connection:
        connection.execute(sa.text("select 1 as asked"))
    assert handle.workload().pools[0].checkouts == 3
    engine.dispose()


def test_a_connection_that_is_out_while_the_engine_is_disposed(url: str) -> None:
    engine = dbperf.create_engine(url)
    first = engine.pool
    with engine.connect() as connection:
        connection.execute(sa.text("select 1 as asked"))
        engine.dispose()
        with engine.connect() as other:
            other.execute(sa.text("select 1 as asked"))
    (pool,) = dbperf.perf(engine).workload().pools
    assert (pool.checkouts, pool.held.count, pool.busiest) == (2, 2, 2)
    assert not dbperf.perf(engine)._capture.observations.pool.out  # type: ignore[union-attr]
    first.dispose()
    engine.dispose()


def test_copies_of_an_engine_share_what_is_seen(url: str) -> None:
    engine = dbperf.create_engine(url)
    copy = engine.execution_options(isolation_level="SERIALIZABLE")
    for each in (engine, copy):
        with each.connect() as connection:
            connection.execute(sa.text("select 1 as asked"))
    assert dbperf.perf(copy) is dbperf.perf(engine)
    (statement,) = dbperf.perf(copy).workload().statements
    assert statement.calls == 2
    engine.dispose()


def test_asyncio(async_url: str, tmp_path: Path) -> None:
    async def main() -> None:
        engine = create_async_engine(async_url)
        async with engine.connect() as connection:
            await connection.execute(sa.text("select 1"))
        before = dict(vars(engine.pool)), dict(vars(engine.sync_engine.dialect))
        handle = dbperf.instrument(engine)
        for _ in range(3):
            async with engine.connect() as connection:
                await connection.execute(sa.text("select 1 as asked"))
        (pool,) = handle.workload().pools
        assert (pool.name, pool.checkouts, pool.connects) == ("AsyncAdaptedQueuePool", 3, 0)
        handle.close()
        assert (dict(vars(engine.pool)), dict(vars(engine.sync_engine.dialect))) == before
        await engine.dispose()

    asyncio.run(main())
