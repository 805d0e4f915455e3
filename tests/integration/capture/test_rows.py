"""Rows are counted however they are fetched, and so are those that came and were not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from dbperf.model.workload import Statement, Workload

Only = Callable[[Any, str], Statement]
ROWS = 500


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)


def fill(connection: sa.Connection) -> None:
    Base.metadata.create_all(connection)
    connection.execute(sa.insert(Item), [{"id": each} for each in range(ROWS)])


def by_seven(result: sa.Result[Any]) -> list[sa.Row[Any]]:
    return [row for part in iter(lambda: result.fetchmany(7), []) for row in part]


READ: dict[str, Callable[[sa.Connection, sa.Select[Any]], int]] = {
    "all": lambda connection, query: len(connection.execute(query).all()),
    "one by one": lambda connection, query: len([row for row in connection.execute(query)]),  # noqa: C416
    "by hand": lambda connection, query: len(list(iter(connection.execute(query).fetchone, None))),
    "many": lambda connection, query: len(by_seven(connection.execute(query))),
    "partitions": lambda connection, query: sum(map(len, connection.execute(query).partitions(64))),
    "yield_per": lambda connection, query: len(list(connection.execute(query).yield_per(64))),
    "scalars": lambda connection, query: len(connection.scalars(query).all()),
    "mappings": lambda connection, query: len(connection.execute(query).mappings().all()),
    "unique": lambda connection, query: len(connection.execute(query).unique().all()),
    "frozen": lambda connection, query: len(connection.execute(query).freeze()().all()),
}


@pytest.mark.parametrize("options", [{}, {"stream_results": True}, {"yield_per": 60}], ids=str)
def test_rows(engine: sa.Engine, only: Only, options: dict[str, Any]) -> None:
    with engine.begin() as connection:
        fill(connection)
    for name, read in READ.items():
        query = sa.select(Item.id.label(name.replace(" ", "_")))
        with engine.connect().execution_options(**options) as connection:
            assert read(connection, query) == ROWS
        statement = only(engine, name.replace(" ", "_"))
        assert (name, statement.calls, statement.rows, statement.unread_rows) == (name, 1, ROWS, 0)
        assert statement.fetch_seconds > 0


@pytest.mark.parametrize("read", ["all", "stream", "partitions"])
def test_rows_by_asyncio(
    async_url: str, only: Only, asynchronously: Callable[..., Workload], read: str
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(fill)
        async with engine.connect() as connection:
            query = sa.select(Item.id.label("wanted"))
            if read == "all":
                assert len((await connection.execute(query)).all()) == ROWS
            elif read == "stream":
                assert len([row async for row in await connection.stream(query)]) == ROWS
            else:
                parts = (await connection.stream(query)).partitions(64)
                assert sum([len(part) async for part in parts]) == ROWS

    statement = only(asynchronously(async_url, work), "wanted")
    assert (statement.calls, statement.rows, statement.unread_rows) == (1, ROWS, 0)


def test_first_leaves_what_the_driver_fetched_unread(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        fill(connection)
        for _ in range(2):
            connection.execute(sa.select(Item.id.label("wanted"))).first()
    statement = only(engine, "wanted")
    if engine.dialect.name == "sqlite":  # which makes rows as they are asked for
        assert (statement.rows, statement.unread_rows) == (2, 0)
    else:
        assert (statement.rows, statement.unread_rows) == (2 * ROWS, 2 * (ROWS - 1))


def test_the_orm_fetches_all_for_first(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        fill(connection)
    with Session(engine) as session:
        assert session.scalars(sa.select(Item).where(Item.id >= 0)).first() is not None
        assert len(session.scalars(sa.select(Item).where(Item.id > -1)).all()) == ROWS
    first, all_ = only(engine, "item.id >="), only(engine, "item.id > ")
    assert (first.rows, first.unread_rows) == (ROWS, ROWS - 1)
    assert (all_.rows, all_.unread_rows) == (ROWS, 0)


def test_first_by_asyncio(async_url: str, only: Only, asynchronously: Callable[..., Workload]) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(fill)
        async with engine.connect() as connection:
            (await connection.execute(sa.select(Item.id.label("wanted")))).first()
        # What an AsyncSession is asked for it has fetched before anybody can take the first.
        async with AsyncSession(engine) as session:
            (await session.scalars(sa.select(Item).where(Item.id > -1))).first()

    workload = asynchronously(async_url, work)
    core, orm = only(workload, "wanted"), only(workload, "item.id > ")
    assert (core.calls, core.rows, core.unread_rows) == (1, ROWS, ROWS - 1)
    assert (orm.calls, orm.rows, orm.unread_rows) == (1, ROWS, 0)


def test_what_a_write_returns_and_what_it_changes(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        fill(connection)
        connection.execute(sa.update(Item).where(Item.id < 10).values(id=Item.id + 1000))
        returned = connection.execute(sa.delete(Item).where(Item.id < 20).returning(Item.id)).all()
        assert len(returned) == 10
    assert only(engine, "UPDATE").rows == 10
    assert only(engine, "DELETE").rows == 10


def upsert(connection: sa.Connection) -> Any:
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(Item)


MANY = [{"id": 2000}, {"id": 2001}]
WRITES: dict[str, tuple[Callable[[sa.Connection], sa.CursorResult[Any]], int]] = {
    "one": (lambda c: c.execute(sa.insert(Item).values(id=2000)), 1),
    "many": (lambda c: c.execute(sa.insert(Item), MANY), 2),
    "several rows": (lambda c: c.execute(sa.insert(Item).values(MANY)), 2),
    "there already": (lambda c: c.execute(upsert(c).values(id=1).on_conflict_do_nothing()), 0),
    "some there": (lambda c: c.execute(upsert(c).on_conflict_do_nothing(), [{"id": 1}, {"id": 2000}]), 1),
    "returning": (lambda c: c.execute(sa.insert(Item).returning(Item.id), MANY), 2),
    "of a query": (
        lambda c: c.execute(sa.insert(Item).from_select(["id"], sa.select(Item.id + 1000))),
        ROWS,
    ),
    "text": (lambda c: c.execute(sa.text("INSERT INTO item (id) VALUES (2000), (2001)")), 2),
    "update": (lambda c: c.execute(sa.update(Item).where(Item.id < 5).values(id=Item.id + 1000)), 5),
    "update none": (lambda c: c.execute(sa.update(Item).where(Item.id < 0).values(id=1)), 0),
    "update many": (
        lambda c: c.execute(
            sa.update(Item).where(Item.id == sa.bindparam("old")).values(id=sa.bindparam("new")),
            [{"old": 1, "new": 2000}, {"old": 2, "new": 2001}],
        ),
        2,
    ),
    "delete": (lambda c: c.execute(sa.delete(Item).where(Item.id < 5)), 5),
}


@pytest.mark.parametrize("write", WRITES)
def test_rows_written_and_the_rowcount_that_the_application_sees(
    engine: sa.Engine, url: str, seen: Callable[[Any], Workload], write: str
) -> None:
    work, rows = WRITES[write]
    plain = sa.create_engine(url)
    with plain.connect() as connection:
        fill(connection)
        expected = work(connection).rowcount
        connection.rollback()
        fill(connection)
        connection.commit()
    plain.dispose()
    with engine.connect() as connection:
        result = work(connection)
        assert result.rowcount == expected
        if result.returns_rows:
            result.all()
        connection.rollback()
    (statement,) = seen(engine).statements
    assert (statement.calls, statement.rows) == (1, rows)


def test_a_result_that_is_closed_early(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        fill(connection)
        for number in (5, 200):
            result = connection.execute(sa.select(Item.id.label("wanted")))
            for _, _row in zip(range(number), result, strict=False):
                pass
            result.close()
    statement = only(engine, "wanted")
    read = statement.rows - statement.unread_rows
    assert 205 <= read <= 207  # zip takes one more than it hands out
    assert statement.rows == (2 * ROWS if engine.dialect.name == "postgresql" else read)
