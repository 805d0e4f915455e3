"""Pages of the shop that a threaded web application serves: each takes the request's Session.

The writing ones leave the commit to the caller, who owns the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shop.models import Category, Order, OrderItem, Product, User

PAGE = 20


def account(session: Session, user_id: int) -> User:
    """The customer who is logged in. By primary key: fine as it is."""
    return session.get_one(User, user_id)


def log_in(session: Session, email: str) -> User | None:
    """The customer with this very address. By a unique index: fine as it is."""
    return session.scalar(select(User).where(User.email == email))


def find_customer(session: Session, email: str) -> User | None:
    """The same in any capitals, for the help desk. The index on `email` does not know `lower(email)`."""
    return session.scalar(select(User).where(func.lower(User.email) == email.lower()))


def order_history(session: Session, user_id: int) -> list[tuple[Order, int]]:
    """A customer's latest orders, each with its number of pieces.

    Filters and sorts with no index to help, then loads the items of one order after the other.
    """
    orders = session.scalars(
        select(Order).where(Order.user_id == user_id).order_by(Order.created_at.desc()).limit(PAGE)
    )
    return [(order, sum(item.quantity for item in order.items)) for order in orders]


def spent(session: Session, user_id: int, since: datetime) -> Decimal:
    """What a customer paid since a date: the index that `order_history` lacks would serve this, too."""
    total = select(func.sum(Order.total)).where(Order.user_id == user_id, Order.created_at >= since)
    return session.scalar(total) or Decimal(0)


def open_orders(session: Session, warehouse_id: int) -> Sequence[Order]:
    """What a warehouse has to pack next, the oldest first: few of very many orders, and no index."""
    return session.scalars(
        select(Order)
        .where(Order.warehouse_id == warehouse_id, Order.status == "open")
        .order_by(Order.created_at)
        .limit(PAGE)
    ).all()


def category_page(session: Session, slug: str, page: int) -> Sequence[Product]:
    """The products of a category by name, `page` from 0. The server sorts and discards all pages before."""
    category = session.scalars(select(Category).where(Category.slug == slug)).one()
    return session.scalars(
        select(Product)
        .where(Product.category_id == category.id)
        .order_by(Product.name, Product.id)
        .limit(PAGE)
        .offset(page * PAGE)
    ).all()


def delivered(session: Session, tracking_number: str, at: datetime) -> int:
    """The carrier's message that a parcel arrived; how many orders it was. The number has no index."""
    result = session.execute(
        update(Order)
        .where(Order.tracking_number == tracking_number)
        .values(delivered_at=at)
        .execution_options(synchronize_session=False)
        .returning(Order.id)
    )
    return len(result.all())


def place_order(
    session: Session, user_id: int, warehouse_id: int, basket: Mapping[int, int], at: datetime
) -> Order:
    """A new order of `basket`, which maps product ids to quantities. Fine as it is."""
    products = session.scalars(select(Product).where(Product.id.in_(basket))).all()
    items = [
        OrderItem(product_id=product.id, quantity=basket[product.id], price=product.price)
        for product in products
    ]
    total = sum((item.price * item.quantity for item in items), Decimal(0))
    order = Order(
        user_id=user_id, warehouse_id=warehouse_id, status="open", total=total, created_at=at, items=items
    )
    session.add(order)
    session.flush()
    return order


def cancel_order(session: Session, order_id: int) -> None:
    """Delete an order by its key; the server then looks through all items for those that refer to it."""
    session.delete(session.get_one(Order, order_id))
    session.flush()
