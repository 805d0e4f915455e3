"""Transactions, and pools of every kind; what is put on an engine comes off again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

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
