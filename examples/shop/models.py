"""The tables of the shop.

The indexes are those that somebody thought of: primary keys, the customer's email, and some foreign keys to
a product. Nobody thought of `order_items.order_id` or of `orders.user_id`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import DateTime, ForeignKey, Identity, Integer, MetaData, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Every table has a generated integer `id`; times carry their zone and money two decimals."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_name)s_idx",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True), Decimal: Numeric(10, 2)}  # noqa: RUF012

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True, sort_order=-1)


class Category(Base):
    """A shelf of the shop: some forty rows, which no index on `slug` would make faster to find."""

    __tablename__ = "categories"

    slug: Mapped[str]
    title: Mapped[str]


class Warehouse(Base):
    """Where orders are packed."""

    __tablename__ = "warehouses"

    city: Mapped[str]


class Product(Base):
    """What the shop sells; a few categories hold most of it."""

    __tablename__ = "products"

    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"), index=True)
    name: Mapped[str]
    price: Mapped[Decimal]

    category: Mapped[Category] = relationship()


class User(Base):
    """A customer. The city decides the country; a tenth of the customers place half of the orders."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(unique=True, index=True)
    name: Mapped[str]
    city: Mapped[str]
    country: Mapped[str]
    created_at: Mapped[datetime]


class Order(Base):
    """An order: `open`, `shipped`, `done` (95 % of them) or `returned`. Only recent ones are still open."""

    __tablename__ = "orders"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouses.id"))
    status: Mapped[str]
    total: Mapped[Decimal]
    tracking_number: Mapped[str | None]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]

    items: Mapped[list[OrderItem]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class OrderItem(Base):
    """A line of an order."""

    __tablename__ = "order_items"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    quantity: Mapped[int]
    price: Mapped[Decimal]

    product: Mapped[Product] = relationship()


class Review(Base):
    """What a customer thinks of a product; a few products have most of the reviews."""

    __tablename__ = "reviews"

    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    rating: Mapped[int]
    body: Mapped[str]
    created_at: Mapped[datetime]

    author: Mapped[User] = relationship()


class AuditEvent(Base):
    """Who changed what. `entity_type` and `entity_id` name a row of any table, so there is no foreign key."""

    __tablename__ = "audit_events"

    entity_type: Mapped[str]
    entity_id: Mapped[int]
    action: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[datetime]
