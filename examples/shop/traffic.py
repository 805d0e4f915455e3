"""A day in the shop: customers and staff opening pages, the same ones in the same order for the same seed.

It may be run again on the same data and does the same work: what is ordered is cancelled, and what arrives
is marked with the same date each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import ParamSpec, TypeVar

from sqlalchemy import Engine, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

import dbperf
from shop import aio, sync
from shop.load import TODAY, Progress, silent
from shop.models import Base, Category, Order, Product, User, Warehouse

_Request = ParamSpec("_Request")
_Page = TypeVar("_Page")

CONCURRENCY = 4
"""Requests that the asyncio part serves at a time."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The highest id of the tables that the traffic picks from."""

    categories: int
    warehouses: int
    products: int
    users: int
    orders: int


def run(
    engine: Engine,
    async_engine: AsyncEngine,
    *,
    seed: int = 1,
    rounds: int = 20,
    progress: Progress | None = None,
) -> None:
    """Serve `rounds` rounds of sync pages, then as many of asyncio pages, 4 at a time.

    Both engines speak to a database that `shop.load` filled; 20 rounds take about 15 seconds on two cores.
    `progress` counts rounds, sync and asyncio ones. The connections of `async_engine` are closed at the end,
    so another event loop can use it. Raises RuntimeError inside a running event loop, and ValueError where
    the shop is empty.
    """
    sizes = _sizes(engine)
    tell = progress or silent
    for n in range(rounds):
        tell(n, 2 * rounds, "serving sync pages")
        with Session(engine) as session:
            _customer(session, Random(f"customer {seed} {n}"), sizes)
        with Session(engine) as session:
            _warehouse(session, Random(f"warehouse {seed} {n}"), sizes)

    def served(count: int) -> None:
        tell(rounds + count, 2 * rounds, "serving asyncio pages")

    served(0)
    asyncio.run(_serve(async_engine, sizes, seed, rounds, served))


def _sizes(engine: Engine) -> Sizes:
    with Session(engine) as session:
        return Sizes(*(_highest(session, each) for each in (Category, Warehouse, Product, User, Order)))


def _highest(session: Session, model: type[Base]) -> int:
    found: int | None = session.scalar(select(func.max(model.id)))
    if found is None:
        raise ValueError(f"the table {model.__tablename__} is empty: fill the shop with shop.load first")
    return found


def _skewed(random: Random, highest: int) -> int:
    # The same shape as the data: who orders much also looks at the history often.
    return 1 + int(highest * random.random() ** 3)


def _get(page: Callable[_Request, _Page], /, *args: _Request.args, **kw: _Request.kwargs) -> _Page:
    """A request. In a web application `dbperf.integrations` has a middleware that says which page it is."""
    with dbperf.track(page.__name__):
        return page(*args, **kw)


def _customer(session: Session, random: Random, sizes: Sizes) -> None:
    user = _get(sync.account, session, _skewed(random, sizes.users))
    _get(sync.log_in, session, user.email)
    _get(sync.order_history, session, user.id)
    _get(sync.spent, session, user.id, TODAY - timedelta(days=365))
    _get(sync.category_page, session, f"shelf-{_skewed(random, sizes.categories)}", page=random.randint(0, 3))
    # A crawler, deep in the largest category.
    _get(sync.category_page, session, "shelf-1", page=random.randint(200, 500))
    basket = {_skewed(random, sizes.products): random.randint(1, 3) for _ in range(3)}
    order = _get(sync.place_order, session, user.id, random.randint(1, sizes.warehouses), basket, TODAY)
    session.commit()
    _get(sync.cancel_order, session, order.id)
    session.commit()


def _warehouse(session: Session, random: Random, sizes: Sizes) -> None:
    for _ in range(3):
        _get(sync.open_orders, session, random.randint(1, sizes.warehouses))
    parcel = session.get_one(Order, random.randint(1, sizes.orders))
    _get(sync.delivered, session, parcel.tracking_number or "", TODAY)
    session.commit()
    caller = _get(sync.account, session, random.randint(1, sizes.users))
    _get(sync.find_customer, session, caller.email.upper())


async def _serve(
    engine: AsyncEngine, sizes: Sizes, seed: int, rounds: int, served: Callable[[int], None]
) -> None:
    waiting = iter(range(rounds))
    done = 0

    async def worker() -> None:
        nonlocal done
        for n in waiting:
            async with AsyncSession(engine) as session:
                await _visitor(session, Random(f"visitor {seed} {n}"), sizes)
            async with AsyncSession(engine) as session:
                await _manager(session, Random(f"manager {seed} {n}"), sizes)
            done += 1
            served(done)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(worker())
    finally:
        await engine.dispose()


async def _get_async(
    page: Callable[_Request, Awaitable[_Page]], /, *args: _Request.args, **kw: _Request.kwargs
) -> _Page:
    async with dbperf.track(page.__name__):
        return await page(*args, **kw)


async def _visitor(session: AsyncSession, random: Random, sizes: Sizes) -> None:
    for _ in range(4):
        product_id = _skewed(random, sizes.products)
        product, reviews = await _get_async(aio.product_page, session, product_id)
        _show(product.name, *(f"{review.author.name}: {review.body}" for review in reviews))
        await _get_async(aio.rating, session, product_id)
    order = await _get_async(aio.order_page, session, random.randint(1, sizes.orders))
    _show(*(f"{item.quantity} x {item.product.name}" for item in order.items))


def _show(*lines: str) -> str:
    """A page, as a template would make it."""
    return "\n".join(lines)


async def _manager(session: AsyncSession, random: Random, sizes: Sizes) -> None:
    await _get_async(aio.audit_trail, session, "product", _skewed(random, sizes.products))
    await _get_async(aio.audit_trail, session, "order", _skewed(random, sizes.orders))
    day = TODAY - timedelta(days=random.randint(7, 700))
    await _get_async(aio.dashboard, session, day, day + timedelta(days=7))
    user = await session.get_one(User, random.randint(1, sizes.users))
    await _get_async(aio.sales_in, session, user.country, user.city, TODAY - timedelta(days=30))
