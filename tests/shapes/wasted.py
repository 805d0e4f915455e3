"""Shapes that ask the same again, or load what nobody reads."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

from shapes.models import House, Order, Post, Team, User
from shapes.shape import shape, shaped


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


@shaped("postgresql")  # SQLite steps to the rows that are asked for
def the_first_of_all_rows(session: Session) -> None:
    assert session.execute(select(Order.id, Order.state).order_by(Order.id)).first()  # DBP403 add .limit(1)


@shaped(runs=6)
def selectin_unread(session: Session) -> None:
    query = select(User).options(selectinload(User.posts))
    for user in session.scalars(query):  # DBP403 leave selectinload(User.posts) out of the query
        assert user.name


@shaped(runs=6)
def joined_unread(session: Session) -> None:
    query = select(Post).options(joinedload(Post.author))
    for post in session.scalars(query):  # DBP403 leave joinedload(Post.author) out of the query
        assert post.title


@shaped(runs=6)
def subquery_unread(session: Session) -> None:
    query = select(User).options(subqueryload(User.posts))
    for user in session.scalars(query):  # DBP403 leave subqueryload(User.posts) out of the query
        assert user.name


@shaped(runs=6)
def half_of_it_unread(session: Session) -> None:
    query = select(User).options(selectinload(User.posts).selectinload(Post.comments))
    for user in session.scalars(query):  # DBP403 leave selectinload(Post.comments) out of the query
        assert [post.title for post in user.posts]


@shaped(runs=6)
def declared_and_unread(session: Session) -> None:
    for house in session.scalars(select(House)):  # DBP403 .options(lazyload(House.rooms))
        assert house.id


@shaped(runs=6)
async def selectin_unread_awaited(session: AsyncSession) -> None:
    query = select(User).options(selectinload(User.posts))
    for user in await session.scalars(query):  # DBP403 leave selectinload(User.posts) out of the query
        assert user.name
