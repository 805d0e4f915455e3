"""The models of the shapes, and their rows."""

from __future__ import annotations

from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    Session,
    WriteOnlyMapped,
    mapped_column,
    relationship,
)

USERS, MANY = 8, 1200


class Base(AsyncAttrs, DeclarativeBase):
    pass


tagged = Table(
    "tagged",
    Base.metadata,
    Column("post_id", ForeignKey("post.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class User(Base):
    __tablename__ = "user_account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    bio: Mapped[str] = mapped_column(deferred=True)
    profile: Mapped[Profile | None] = relationship(back_populates="user")
    posts: Mapped[list[Post]] = relationship(back_populates="author")
    titles: AssociationProxy[list[str]] = association_proxy("posts", "title")
    visits: DynamicMapped[Visit] = relationship()
    notices: WriteOnlyMapped[Notice] = relationship()
    guarded: Mapped[list[Visit]] = relationship(lazy="raise", viewonly=True)


class Profile(Base):
    __tablename__ = "profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), unique=True)
    user: Mapped[User] = relationship(back_populates="profile")


class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    author: Mapped[User] = relationship(back_populates="posts")
    comments: Mapped[list[Comment]] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=tagged)


class Comment(Base):
    __tablename__ = "comment"
    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id"))


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Visit(Base):
    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))


class Notice(Base):
    __tablename__ = "notice"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    staff: Mapped[list[Employee]] = relationship(back_populates="team")


class House(Base):
    __tablename__ = "house"
    id: Mapped[int] = mapped_column(primary_key=True)
    rooms: Mapped[list[Room]] = relationship(lazy="selectin")


class Room(Base):
    __tablename__ = "room"
    id: Mapped[int] = mapped_column(primary_key=True)
    house_id: Mapped[int] = mapped_column(ForeignKey("house.id"))


class Employee(Base):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))
    team: Mapped[Team] = relationship(back_populates="staff")
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Manager(Employee):
    __tablename__ = "manager"
    id: Mapped[int] = mapped_column(ForeignKey("employee.id"), primary_key=True)
    level: Mapped[int]
    goals: Mapped[list[Goal]] = relationship()
    __mapper_args__: ClassVar = {"polymorphic_identity": "manager"}


class Goal(Base):
    __tablename__ = "goal"
    id: Mapped[int] = mapped_column(primary_key=True)
    manager_id: Mapped[int] = mapped_column(ForeignKey("manager.id"))


class Node(Base):
    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side=[id])  # noqa: A003
    children: Mapped[list[Node]] = relationship(back_populates="parent")


class Order(Base):
    __tablename__ = "purchase"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[int]
    lines: Mapped[list[Line]] = relationship()
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "order"}


class Express(Order):
    __tablename__ = "express"
    id: Mapped[int] = mapped_column(ForeignKey("purchase.id"), primary_key=True)
    hour: Mapped[int]
    __mapper_args__: ClassVar = {"polymorphic_identity": "express"}


class Line(Base):
    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("purchase.id"))


class Event(Base):
    """What shapes write into."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def fill(engine: sa.Engine) -> None:
    """Make the tables and their rows: 8 users with 3 posts each, 1,200 orders."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        tags = [Tag(name=f"tag {number}") for number in range(3)]
        for number in range(USERS):
            posts = [
                Post(title=f"post {number} {each}", comments=[Comment(), Comment()], tags=tags)
                for each in range(3)
            ]
            team = Team(name=f"team {number}")
            session.add(House(rooms=[Room()]))
            session.add(User(name=f"user {number}", bio="…", profile=Profile(), posts=posts))
            session.add(Manager(level=number, goals=[Goal()], team=team))
            session.add(Node(children=[Node(children=[Node(), Node()]), Node()]))
        session.flush()
        for table in (Visit, Notice):
            session.execute(sa.insert(table), [{"user_id": number + 1} for number in range(USERS)])
        session.execute(
            sa.insert(Express), [{"id": number + 1, "state": number % 5, "hour": 1} for number in range(MANY)]
        )
        session.execute(sa.insert(Line), [{"order_id": number + 1} for number in range(MANY)])
        session.add(Event(name="first"))
        session.commit()
