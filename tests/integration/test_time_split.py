"""Where the time goes: waiting, executing, fetching; transactions, pools, and what bypasses SQLAlchemy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool, StaticPool

import dbperf
from dbperf.model.runtime import Pool, Transactions
from dbperf.model.workload import Statement


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)


ROWS = 500
ITEMS = sa.select(Item.id)
WHERE = {"postgresql": "WHERE item.id >= $1::INTEGER", "sqlite": "WHERE item.id >= ?"}


def filled(engine: sa.Engine) -> sa.Engine:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Item(id=number) for number in range(ROWS))
        session.commit()
    return engine


@pytest.fixture(params=["psycopg", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[sa.Engine]:
    file = f"sqlite:///{tmp_path}/x.db"
    url = file if request.param == "sqlite" else request.getfixturevalue("psycopg_url")
    plain = filled(sa.create_engine(url))
    plain.dispose()
    engine = dbperf.create_engine(url)
    yield engine
    engine.dispose()


def only(engine: sa.Engine | AsyncEngine, end: str) -> Statement:
    statements = dbperf.perf(engine).workload().statements
    (found,) = [each for each in statements if " ".join(each.sql.split()).endswith(end)]
    return found


def pool_of(engine: sa.Engine) -> Pool:
    (found,) = dbperf.perf(engine).workload().pools
    return found


def transactions_of(engine: sa.Engine) -> Transactions:
    (found,) = dbperf.perf(engine).workload().transactions
    return found


def streamed(connection: sa.Connection) -> sa.Connection:
    return connection.execution_options(stream_results=True, max_row_buffer=100)


WAYS: dict[str, Callable[[sa.Connection], int]] = {
    "all": lambda connection: len(connection.execute(ITEMS).all()),
    "one by one": lambda connection: sum(1 for _ in connection.execute(ITEMS)),
    "fetchmany": lambda connection: sum(map(len, connection.execute(ITEMS).partitions(70))),
    "streamed": lambda connection: sum(1 for _ in streamed(connection).execute(ITEMS)),
    "streamed, all": lambda connection: len(streamed(connection).execute(ITEMS).all()),
    "yield_per": lambda connection: sum(1 for _ in connection.execute(ITEMS).yield_per(90)),
    "yield_per option": lambda connection: sum(
        1 for _ in connection.execution_options(yield_per=90).execute(ITEMS)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_fetch_is_timed_and_its_rows_are_counted(engine: sa.Engine, way: str) -> None:
    for _ in range(2):
        with engine.connect() as connection:
            assert WAYS[way](connection) == ROWS
    found = only(engine, "FROM item")
    assert (found.calls, found.rows, found.unread_rows) == (2, 2 * ROWS, 0)
    assert found.fetch_seconds > 0
    assert found.execute_seconds > 0


def test_first_of_many_with_the_core_and_with_the_orm(engine: sa.Engine) -> None:
    with Session(engine) as session:
        assert session.scalars(sa.select(Item).where(Item.id >= 0)).first() is not None
        session.connection().execute(ITEMS).first()
    orm, core = only(engine, WHERE[engine.dialect.name]), only(engine, "SELECT item.id FROM item")
    assert (orm.rows, orm.unread_rows) == (ROWS, ROWS - 1)
    if engine.dialect.name == "postgresql":  # SQLite makes a row when it is asked for
        assert (core.rows, core.unread_rows) == (ROWS, ROWS - 1)
    else:
        assert (core.rows, core.unread_rows) == (1, 0)


def test_waiting_belongs_to_the_statement_that_waited(psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_size=1, max_overflow=0)
    held = threading.Event()

    def hold() -> None:
        with engine.connect() as connection:
            held.set()
            connection.execute(sa.text("select pg_sleep(0.5), 'held'"))

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    with engine.connect() as connection:
        connection.execute(sa.text("select 'waited'"))
        connection.execute(sa.text("select 'later'"))
    thread.join()
    first, waited = only(engine, "select pg_sleep($1), $2"), only(engine, "select $1")
    assert waited.calls == 2
    assert waited.wait_seconds > first.wait_seconds
    assert waited.wait_seconds > waited.execute_seconds
    pool = pool_of(engine)
    assert (pool.checkouts, pool.connects, pool.limit, pool.busiest) == (2, 1, 1, 1)
    assert pool.wait_seconds >= waited.wait_seconds
    assert pool.held_seconds >= first.execute_seconds
    engine.dispose()


def test_a_pool_that_times_out(psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(sa.exc.TimeoutError):
        engine.connect()
    assert (pool_of(engine).checkouts, pool_of(engine).timeouts) == (1, 1)
    engine.dispose()


def test_transactions(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(Item), {"id": ROWS + 1})
        with connection.begin_nested():
            connection.execute(sa.insert(Item), {"id": ROWS + 2})
    with engine.connect() as connection:
        connection.execute(ITEMS).all()
    with engine.connect():
        pass
    found = transactions_of(engine)
    assert (found.commits, found.rollbacks, found.errors) == (1, 1, 0)
    assert found.commit_seconds > 0
    assert found.commit.count == 1
    assert only(engine, "RELEASE SAVEPOINT sa_savepoint_1").calls == 1


def test_connecting_and_pings_are_apart(psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, pool_pre_ping=True)
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))
    pool = pool_of(engine)
    assert (pool.checkouts, pool.connects, pool.pings, pool.ping_errors) == (3, 1, 2, 0)
    assert pool.connect_seconds > pool.wait_seconds
    assert pool.ping.count == 2
    (statement,) = dbperf.perf(engine).workload().statements  # and none of the dialect's own
    assert statement.calls == 3
    engine.dispose()


def test_a_server_that_cannot_be_reached() -> None:
    engine = dbperf.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(sa.exc.OperationalError):
        engine.connect()
    assert (pool_of(engine).connect_errors, pool_of(engine).checkouts) == (1, 0)


def test_copy_and_the_driver_itself_are_time_that_a_connection_was_held(psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url)
    raw = engine.raw_connection()
    with raw.cursor() as cursor:
        cursor.execute("create table bulk (a int)")
        with cursor.copy("copy bulk from stdin") as copy:  # type: ignore[attr-defined]
            for number in range(1000):
                copy.write_row((number,))
    raw.commit()
    raw.close()
    pool = pool_of(engine)
    assert (pool.checkouts, pool.raw_checkouts) == (1, 1)
    assert pool.raw_seconds == pool.held_seconds > 0
    assert dbperf.perf(engine).workload().statements == ()
    engine.dispose()


@pytest.mark.parametrize("poolclass", [NullPool, StaticPool])
def test_other_pools(poolclass: type[sa.Pool], psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, poolclass=poolclass)
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))
    pool = pool_of(engine)
    assert (pool.name, pool.checkouts, pool.held.count) == (poolclass.__name__, 3, 3)
    assert pool.connects == (3 if poolclass is NullPool else 1)
    engine.dispose()


def test_a_disposed_engine_is_measured_on_and_closing_leaves_nothing(psycopg_url: str) -> None:
    engine = sa.create_engine(psycopg_url)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    dialect = dict(vars(engine.dialect))
    perf = dbperf.instrument(engine)
    with engine.connect() as connection:
        engine.dispose()
        connection.execute(sa.text("select 1"))
        connection.invalidate()  # the pool that it goes back to is not there any more
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    (pool,) = perf.workload().pools
    assert (pool.checkouts, pool.held.count) == (2, 2)
    perf.close()
    assert vars(engine.dialect) == dialect
    assert not {"_do_get", "_do_return_conn", "recreate"} & vars(engine.pool).keys()
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    assert perf.workload().statements[0].calls == 2
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_async(driver: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{driver}_url")

    async def work() -> AsyncEngine:
        engine = dbperf.create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            session.add_all(Item(id=number) for number in range(ROWS))
            await session.commit()
            assert len((await session.scalars(sa.select(Item))).all()) == ROWS
        async with engine.connect() as connection:
            result = await connection.stream(ITEMS.where(Item.id >= 0))
            assert len([row async for row in result]) == ROWS
        await engine.dispose()
        return engine

    engine = asyncio.run(work())
    found, streamed = only(engine, "SELECT item.id FROM item"), only(engine, "WHERE item.id >= $1::INTEGER")
    (inserted,) = [s for s in dbperf.perf(engine).workload().statements if s.sql.startswith("INSERT")]
    for each in (found, streamed):
        assert (each.calls, each.rows, each.unread_rows) == (1, ROWS, 0)
        assert each.fetch_seconds > 0
    assert inserted.parameter_sets == ROWS
    (transactions,) = dbperf.perf(engine).workload().transactions
    assert transactions.commits == 2
