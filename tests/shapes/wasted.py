"""Shapes that ask the same again, or load what nobody reads."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

from shapes.models import House, Order, Post, Team, User
from shapes.shape import on, shape


@shape
def the_same_select(session: Session) -> None:
    for _ in range(6):
        session.scalars(select(User).where(User.name == "user 1")).one()  # DBP402 keep the first answer


@shape
def the_same_in_sessions_of_their_own(session: Session) -> None:
    for _ in range(6):
        with Session(session.get_bind()) as own:
            assert own.get(User, 1)  # DBP402 keep the first answer


@shape
def the_same_from_a_helper(session: Session) -> None:
    def current() -> User:
        user = select(User).where(User.name == "user 1")
        return session.scalars(user).one()  # DBP402 keep the first answer

    for _ in range(3):
        assert current()
    assert current()


@shape
def the_same_text(session: Session) -> None:
    for _ in range(4):
        session.execute(text("SELECT count(*) FROM post WHERE user_id = :owner"), {"owner": 1})  # DBP402 keep


@shape
def the_same_without_parameters(session: Session) -> None:
    for _ in range(5):
        session.scalars(select(Team.name)).all()  # DBP402 keep the first answer


@shape
async def the_same_awaited(session: AsyncSession) -> None:
    for _ in range(5):
        await session.scalar(select(User.name).where(User.id == 1))  # DBP402 keep the first answer


@shape
def the_first_of_all_instances(session: Session) -> None:
    assert session.scalars(select(Order).order_by(Order.id)).first()  # DBP403 add .limit(1)


@on("postgresql")  # SQLite steps to the rows that are asked for
def the_first_of_all_rows(session: Session) -> None:
    assert session.execute(select(Order.id, Order.state).order_by(Order.id)).first()  # DBP403 add .limit(1)


@on("postgresql")
async def the_first_of_all_awaited(session: AsyncSession) -> None:
    assert (await session.execute(sa.select(Order.id))).first()  # DBP403 add .limit(1)


@shape
def selectin_unread(session: Session) -> None:
    for each in range(6):
        query = select(User).where(User.id > each).options(selectinload(User.posts))
        session.scalars(query).all()  # DBP403 leave selectinload(User.posts) out


@shape
def joined_unread(session: Session) -> None:
    for each in range(6):
        query = select(Post).where(Post.id > each).options(joinedload(Post.author))
        assert session.scalars(query).first()  # DBP403 leave joinedload(Post.author) out


@shape
def subquery_unread(session: Session) -> None:
    for each in range(6):
        query = select(User).where(User.id > each).options(subqueryload(User.posts))
        session.scalars(query).all()  # DBP403 leave subqueryload(User.posts) out


@shape
def half_of_it_unread(session: Session) -> None:
    for each in range(6):
        posts = selectinload(User.posts)
        query = select(User).where(User.id > each).options(posts.selectinload(Post.comments))
        for user in session.scalars(query):  # DBP403 selectinload(User.posts).selectinload(Post.comments)
            len(user.posts)


@shape
def declared_and_unread(session: Session) -> None:
    for each in range(6):
        session.scalars(select(House).where(House.id > each)).all()  # DBP403 .options(lazyload(House.rooms))


@shape
async def selectin_unread_awaited(session: AsyncSession) -> None:
    for each in range(6):
        query = select(User).where(User.id > each).options(selectinload(User.posts))
        await session.scalars(query)  # DBP403 leave selectinload(User.posts) out
