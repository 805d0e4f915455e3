"""Pages of the shop that an asyncio web application serves: each takes the request's AsyncSession."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from shop.models import AuditEvent, Order, OrderItem, Product, Review, User


async def product_page(session: AsyncSession, product_id: int) -> tuple[Product, Sequence[Review]]:
    """A product and its newest reviews with their authors: a filter and a sort, and no index for either."""
    product = await session.get_one(Product, product_id)
    reviews = await session.scalars(
        select(Review)
        .where(Review.product_id == product_id)
        .order_by(Review.created_at.desc())
        .limit(10)
        .options(joinedload(Review.author, innerjoin=True))
    )
    return product, reviews.all()


async def rating(session: AsyncSession, product_id: int) -> tuple[int, float]:
    """How many reviews a product has and their mean: what would help `product_page` helps here."""
    found = await session.execute(
        select(func.count(), func.avg(Review.rating)).where(Review.product_id == product_id)
    )
    count, mean = found.one()
    return count, float(mean or 0)


async def order_page(session: AsyncSession, order_id: int) -> Order:
    """An order with its items and their products, in two statements as it should be, but without an index."""
    return await session.get_one(
        Order, order_id, options=[selectinload(Order.items).joinedload(OrderItem.product, innerjoin=True)]
    )


async def audit_trail(session: AsyncSession, entity_type: str, entity_id: int) -> Sequence[AuditEvent]:
    """The latest changes to one row of any table."""
    events = await session.scalars(
        select(AuditEvent)
        .where(AuditEvent.entity_type == entity_type, AuditEvent.entity_id == entity_id)
        .order_by(AuditEvent.created_at.desc())
        .limit(20)
    )
    return events.all()


async def dashboard(session: AsyncSession, since: datetime, until: datetime) -> dict[str, int]:
    """Orders by status between two dates, `until` excluded."""
    found = await session.execute(
        select(Order.status, func.count())
        .where(Order.created_at >= since, Order.created_at < until)
        .group_by(Order.status)
    )
    return {row.status: row[1] for row in found}


async def sales_in(session: AsyncSession, country: str, city: str, since: datetime) -> Decimal:
    """What a city's customers bought since a date. The country adds nothing; a planner thinks it does."""
    total = await session.scalar(
        select(func.sum(Order.total))
        .join(User, User.id == Order.user_id)
        .where(User.country == country, User.city == city, Order.created_at >= since)
    )
    return total or Decimal(0)
