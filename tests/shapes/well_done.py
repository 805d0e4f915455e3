"""Shapes in which nothing is to be found: what looks like an N+1 and is none."""

from __future__ import annotations

from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy import func, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    Session,
    contains_eager,
    joinedload,
    raiseload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_polymorphic,
)

from shapes.models import USERS, Employee, Event, Express, Manager, Order, Post, Team, User
from shapes.shape import shape, shaped

IDS = range(1, USERS + 1)


@shape
def joined(session: Session) -> None:
    for user in session.scalars(select(User).options(joinedload(User.posts))).unique():
        len(user.posts)


@shape
def selectin(session: Session) -> None:
    for user in session.scalars(select(User).options(selectinload(User.posts).selectinload(Post.comments))):
        for post in user.posts:
            len(post.comments)


@shape
def subquery(session: Session) -> None:
    for user in session.scalars(select(User).options(subqueryload(User.posts))).all():
        len(user.posts)


@shape
def selectin_of_1200_parents(session: Session) -> None:
    for order in session.scalars(select(Order).options(selectinload(Order.lines))).all():
        len(order.lines)


@shape
def selectin_polymorphic_of_1200(session: Session) -> None:
    for order in session.scalars(select(Order).options(selectin_polymorphic(Order, [Express]))).all():
        assert isinstance(order, Express)
        assert order.hour


@shape
def with_all_subclasses(session: Session) -> None:
    for employee in session.scalars(select(with_polymorphic(Employee, "*"))).all():
        assert isinstance(employee, Manager)
        assert employee.level >= 0


@shape
def of_type(session: Session) -> None:
    staff = selectinload(Team.staff.of_type(Manager)).selectinload(Manager.goals)
    for team in session.scalars(select(Team).options(staff)):
        for each in team.staff:
            assert isinstance(each, Manager)
            len(each.goals)


@shape
def joined_by_hand(session: Session) -> None:
    query = select(User).join(User.posts).options(contains_eager(User.posts))
    for user in session.scalars(query).unique():
        len(user.posts)


@shape
def undeferred(session: Session) -> None:
    for user in session.scalars(select(User).options(undefer(User.bio))):
        assert user.bio


@shape
def raising(session: Session) -> None:
    for user in session.scalars(select(User).options(raiseload("*"))):
        with suppress(InvalidRequestError):
            len(user.posts)
        with suppress(InvalidRequestError):
            len(user.guarded)


@shape
def in_the_identity_map(session: Session) -> None:
    users = session.scalars(select(User)).all()
    for post in session.scalars(select(Post)).all():
        assert post.author in users


@shape
def one_author_of_many_posts(session: Session) -> None:
    for post in session.scalars(select(Post).where(Post.user_id == 1)).all():
        assert post.author.id == 1


@shaped(few=True)
def two_lazy_loads(session: Session) -> None:
    for user in session.scalars(select(User).limit(2)).all():
        len(user.posts)


@shaped(few=True)
def four_gets(session: Session) -> None:
    for each in range(1, 5):
        assert session.get(User, each)


@shape
def lists_in_parts(session: Session) -> None:
    for start in range(1, 1200, 200):
        session.scalars(select(Order).where(Order.id.in_(range(start, start + 200)))).all()


@shape
def pages_by_key(session: Session) -> None:
    last = 0
    while page := session.scalars(
        select(Order.id).where(Order.id > last).order_by(Order.id).limit(200)
    ).all():
        last = page[-1]


@shape
def pages_by_key_of_one_state(session: Session) -> None:
    last = 0
    query = select(Order.id).where(Order.state == 1).order_by(Order.id).limit(40)
    while page := session.scalars(query.where(Order.id > last)).all():
        last = page[-1]


@shape
def pages_by_offset(session: Session) -> None:
    for page in range(6):
        session.scalars(
            select(Order.id).where(Order.state == 1).order_by(Order.id).limit(40).offset(40 * page)
        ).all()


@shape
def ranges(session: Session) -> None:
    for start in range(0, 1200, 200):
        session.scalars(select(func.count()).where(Order.id > start, Order.id <= start + 200)).one()


@shape
def inserts(session: Session) -> None:
    for each in range(6):
        session.add(Event(name=f"event {each}"))
        session.flush()
    session.rollback()


@shape
def updates(session: Session) -> None:
    for each in IDS:
        session.execute(sa.update(User).where(User.id == each).values(bio="…"))
    session.rollback()


@shape
def executemany(session: Session) -> None:
    session.execute(sa.insert(Event), [{"name": str(each)} for each in range(100)])
    session.rollback()


@shape
def read_again_after_a_write(session: Session) -> None:
    for each in range(6):
        session.execute(sa.insert(Event), {"name": str(each)})
        session.scalar(select(func.count()).select_from(Event))
    session.rollback()


@shape
def asked_again_after_a_commit(session: Session) -> None:
    for _ in range(6):
        session.scalar(select(Order.state).where(Order.id == 7))
        session.commit()


@shape
def expired_again_and_again(session: Session) -> None:
    user = session.get_one(User, 1)
    for _ in range(6):
        session.commit()
        assert user.name


@shaped(few=True)
def asked_twice(session: Session) -> None:
    for _ in range(2):
        session.scalar(select(func.count()).select_from(User))


@shape
def the_time(session: Session) -> None:
    for _ in range(6):
        session.scalar(select(func.current_timestamp()))


@shape
def alive(session: Session) -> None:
    for _ in range(6):
        session.execute(text("SELECT 1"))


@shape
def random_rows(session: Session) -> None:
    for _ in range(6):
        session.scalar(select(Order.id).order_by(func.random()).limit(1))


@shape
def locked(session: Session) -> None:
    for _ in range(6):
        session.scalar(select(Order.id).where(Order.id == 1).with_for_update().order_by(func.random()))
    session.rollback()


@shape
def the_first_of_many(session: Session) -> None:
    assert session.scalars(select(Order).order_by(Order.id).limit(1)).first()


@shaped(runs=6)
def loaded_along_and_read(session: Session) -> None:
    query = select(User).options(selectinload(User.posts), joinedload(User.profile))
    user = session.scalars(query).unique().all()[0]
    len(user.posts)
    assert user.profile


@shaped(runs=4, few=True)
def loaded_along_and_seldom_read(session: Session) -> None:
    session.scalars(select(User).options(selectinload(User.posts))).all()


@shape
async def awaited_selectin(session: AsyncSession) -> None:
    for user in await session.scalars(select(User).options(selectinload(User.posts))):
        len(user.posts)


@shape
async def awaited_selectin_of_1200_parents(session: AsyncSession) -> None:
    for order in await session.scalars(select(Order).options(selectinload(Order.lines))):
        len(order.lines)


@shape
async def streamed(session: AsyncSession) -> None:
    async for user in await session.stream_scalars(select(User)):
        assert user.name
