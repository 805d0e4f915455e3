"""The example shop: loads the same rows each time, its pages work, its traffic can be run again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from shop import aio, sync, traffic
from shop.load import TODAY, load
from shop.models import Base, Category, Order, OrderItem, Product, Review, User
from sqlalchemy import Engine, create_engine, event, exc, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

ROWS = {
    "categories": 40,
    "warehouses": 8,
    "products": 400,
    "users": 1_000,
    "orders": 3_000,
    "order_items": 7_500,
    "reviews": 1_500,
    "audit_events": 2_500,
}


@pytest.fixture
def engine(psycopg_url: str) -> Iterator[Engine]:
    engine = create_engine(psycopg_url)
    load(engine, scale=0.01)
    yield engine
    engine.dispose()


def count_rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


def digest(engine: Engine) -> dict[str, str]:
    """Of the content of every table, whatever the order of its rows."""
    with engine.connect() as connection:
        return {
            name: connection.scalar(text(f"SELECT sum(hashtextextended(t::text, 0))::text FROM {name} AS t"))
            for name in ROWS
        }


def test_load_makes_the_tables_of_the_models(engine: Engine) -> None:
    assert count_rows(engine) == ROWS
    for table in Base.metadata.sorted_tables:
        found = inspect(engine)
        assert found.get_pk_constraint(table.name)["constrained_columns"] == ["id"]
        assert {column["name"] for column in found.get_columns(table.name)} == set(table.columns.keys())
        keys = {tuple(key["constrained_columns"]) for key in found.get_foreign_keys(table.name)}
        assert keys == {tuple(key.column_keys) for key in table.foreign_key_constraints}
        indexes = {index["name"] for index in found.get_indexes(table.name)}
        assert indexes == {index.name for index in table.indexes}


def test_load_is_the_same_for_the_same_seed(engine: Engine) -> None:
    first = digest(engine)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
    load(engine, scale=0.01)
    assert digest(engine) == first
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
    load(engine, scale=0.01, seed=-0.3)
    assert digest(engine)["orders"] != first["orders"]


def test_load_never_touches_tables_that_are_there(engine: Engine) -> None:
    with pytest.raises(exc.ProgrammingError, match="already exists"):
        load(engine, scale=0.01)
    assert count_rows(engine) == ROWS


def test_load_tells_its_progress(psycopg_url: str) -> None:
    told: list[tuple[int, int, str]] = []
    engine = create_engine(psycopg_url)
    load(engine, scale=0.001, progress=lambda *each: told.append(each))
    engine.dispose()
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[0][0] == 0
    assert told[-1][:2] == (told[0][1], told[0][1])


def test_data_is_skewed_and_correlated(engine: Engine) -> None:
    with Session(engine) as session:
        statuses = Counter(session.scalars(select(Order.status)))
        assert 0.93 < statuses["done"] / 3_000 < 0.97
        assert 0 < statuses["open"] < 100
        best = session.scalar(select(func.count()).where(Order.user_id <= 100)) or 0
        assert best > 0.4 * 3_000
        countries = select(func.count(User.country.distinct())).group_by(User.city)
        assert set(session.scalars(countries)) == {1}
        dates = session.scalars(select(Order.created_at).order_by(Order.id)).all()
        assert list(dates) == sorted(dates)
        billed = select(func.sum(OrderItem.quantity * OrderItem.price))
        assert session.scalar(billed) == session.scalar(select(func.sum(Order.total)))


def test_pages_for_customers(engine: Engine) -> None:
    with Session(engine) as session:
        user = sync.account(session, 1)
        assert sync.log_in(session, user.email) is user
        assert sync.log_in(session, user.email.upper()) is None
        assert sync.find_customer(session, user.email.upper()) is user
        history = sync.order_history(session, 1)
        dates = [order.created_at for order, _ in history]
        assert len(history) == 20
        assert dates == sorted(dates, reverse=True)
        assert all(pieces == sum(item.quantity for item in order.items) > 0 for order, pieces in history)
        orders = session.scalars(select(Order).where(Order.user_id == 1)).all()
        since = TODAY - timedelta(days=365)
        assert sync.spent(session, 1, since) == sum(each.total for each in orders if each.created_at >= since)
        assert sync.spent(session, 1, TODAY) == 0


def test_category_pages_follow_each_other(engine: Engine) -> None:
    with Session(engine) as session:
        shelf = session.scalars(select(Category).where(Category.slug == "shelf-1")).one()
        expected = session.scalar(select(func.count()).where(Product.category_id == shelf.id))
        pages = [sync.category_page(session, "shelf-1", page) for page in range(21)]
        assert len({product.id for page in pages for product in page}) == expected
        assert pages[-1] == []


def test_pages_for_staff(engine: Engine) -> None:
    with Session(engine) as session:
        waiting = sync.open_orders(session, 1)
        assert waiting
        assert {(order.status, order.warehouse_id) for order in waiting} == {("open", 1)}
        parcel = session.get_one(Order, 7)
        assert sync.delivered(session, parcel.tracking_number or "", TODAY) == 1
        session.refresh(parcel)
        assert parcel.delivered_at == TODAY
        assert sync.delivered(session, "no such parcel", TODAY) == 0


def test_orders_are_placed_and_cancelled(engine: Engine) -> None:
    with Session(engine) as session:
        order = sync.place_order(session, 5, 1, {3: 2, 4: 1}, TODAY)
        session.commit()
        three, four = session.get_one(Product, 3), session.get_one(Product, 4)
        assert order.id == 3_001
        assert order.total == 2 * three.price + four.price
        assert count_rows(engine) == ROWS | {"orders": 3_001, "order_items": 7_502}
        sync.cancel_order(session, order.id)
        session.commit()
    assert count_rows(engine) == ROWS


def test_asyncio_pages(engine: Engine, asyncpg_url: str) -> None:
    async def look() -> None:
        async_engine = create_async_engine(asyncpg_url)
        async with AsyncSession(async_engine) as session:
            product, reviews = await aio.product_page(session, 1)
            assert product.id == 1
            assert [each.created_at for each in reviews] == sorted(
                (each.created_at for each in reviews), reverse=True
            )
            assert len(reviews) == 10
            assert all(review.author.name for review in reviews)
            count, mean = await aio.rating(session, 1)
            everyone = (await session.scalars(select(Review.rating).where(Review.product_id == 1))).all()
            assert count == len(everyone)
            assert mean == pytest.approx(sum(everyone) / count)
            order = await aio.order_page(session, 9)
            assert len(order.items) == 8
            assert all(item.product.name for item in order.items)
            trail = await aio.audit_trail(session, "product", 1)
            assert {(each.entity_type, each.entity_id) for each in trail} == {("product", 1)}
            assert sum((await aio.dashboard(session, TODAY - timedelta(days=900), TODAY)).values()) == 3_000
            sales = await aio.sales_in(session, "FR", "Paris", TODAY - timedelta(days=900))
            assert sales > 0
            assert await aio.sales_in(session, "NO", "Paris", TODAY - timedelta(days=900)) == 0
        await async_engine.dispose()

    asyncio.run(look())


def counted(engine: Engine) -> Counter[str]:
    statements: Counter[str] = Counter()

    @event.listens_for(engine, "after_cursor_execute")
    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements[statement] += 1

    return statements


def test_traffic_runs_again_with_the_same_work(engine: Engine, asyncpg_url: str) -> None:
    async_engine: AsyncEngine = create_async_engine(asyncpg_url)
    told: list[tuple[int, int, str]] = []
    seen = [counted(engine), counted(async_engine.sync_engine)]

    def served() -> list[Counter[str]]:
        for statements in seen:
            statements.clear()
        told.clear()
        traffic.run(engine, async_engine, rounds=5, progress=lambda *each: told.append(each))
        return [Counter(statements) for statements in seen]

    first = served()
    after_first = digest(engine)
    assert served() == first
    assert min(sum(statements.values()) for statements in first) > 50
    assert digest(engine) == after_first
    assert count_rows(engine) == ROWS
    assert [done for done, _, _ in told] == [*range(11)]
    assert {total for _, total, _ in told} == {10}


def test_traffic_refuses_an_empty_shop(engine: Engine, asyncpg_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE users CASCADE"))
    with pytest.raises(ValueError, match="the table users is empty"):
        traffic.run(engine, create_async_engine(asyncpg_url))
