"""Shapes that are an N+1: one statement for each of many parents."""

from __future__ import annotations

from operator import attrgetter

import sqlalchemy as sa
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, aliased, immediateload, joinedload, load_only, selectinload

from shapes.models import (
    USERS,
    Employee,
    Manager,
    Node,
    Post,
    Profile,
    Tag,
    Team,
    User,
)
from shapes.shape import shape, shaped

IDS = range(1, USERS + 1)


@shape
def lazy_collection(session: Session) -> None:
    for user in session.scalars(select(User)):  # parents
        len(user.posts)  # DBP401 .options(selectinload(User.posts))


@shape
def lazy_many_to_one(session: Session) -> None:
    for post in session.scalars(select(Post)).all():  # parents
        len(post.author.name)  # DBP401 .options(joinedload(Post.author))


@shape
def lazy_one_to_one(session: Session) -> None:
    for user in session.scalars(select(User)).all():  # parents
        assert user.profile  # DBP401 .options(joinedload(User.profile))


@shape
def lazy_many_to_many(session: Session) -> None:
    for post in session.scalars(select(Post)):  # parents
        len(post.tags)  # DBP401 .options(selectinload(Post.tags))


@shape
def lazy_within_lazy(session: Session) -> None:
    for user in session.scalars(select(User)):  # parents
        for post in user.posts:  # DBP401 .options(selectinload(User.posts))
            len(post.comments)  # DBP401 .options(selectinload(User.posts).selectinload(Post.comments))


@shape
def lazy_below_selectinload(session: Session) -> None:
    for user in session.scalars(select(User).options(selectinload(User.posts))):  # parents
        for post in user.posts:
            len(post.comments)  # DBP401 selectinload(User.posts).selectinload(Post.comments)


@shape
def lazy_below_joinedload(session: Session) -> None:
    users = session.scalars(select(User).options(joinedload(User.posts))).unique().all()  # parents
    for user in users:
        for post in user.posts:
            len(post.comments)  # DBP401 joinedload(User.posts).selectinload(Post.comments)


@shape
def lazy_in_a_comprehension(session: Session) -> None:
    users = session.scalars(select(User)).all()  # parents
    assert sum([len(user.posts) for user in users])  # DBP401 selectinload(User.posts)


@shape
def lazy_in_a_helper(session: Session) -> None:
    def size(user: User) -> int:
        return len(user.posts)  # DBP401 selectinload(User.posts)

    users = session.scalars(select(User)).all()  # parents
    assert sum(map(size, users))


@shape
def lazy_by_attribute_name(session: Session) -> None:
    for user in session.scalars(select(User)):  # parents
        len(attrgetter("posts")(user))  # DBP401 selectinload(User.posts)


@shape
def lazy_through_an_association_proxy(session: Session) -> None:
    for user in session.scalars(select(User)):  # parents
        len(user.titles)  # DBP401 selectinload(User.posts)


@shape
def lazy_beside_a_join(session: Session) -> None:
    for post, _ in session.execute(select(Post, User).join(Post.author)):  # parents
        len(post.comments)  # DBP401 selectinload(Post.comments)


@shape
def lazy_of_an_alias(session: Session) -> None:
    writer = aliased(User)
    for user in session.scalars(select(writer)):  # parents
        len(user.posts)  # DBP401 selectinload(User.posts)


@shape
def lazy_of_a_legacy_query(session: Session) -> None:
    for user in session.query(User).filter(User.id < 100):  # parents
        len(user.posts)  # DBP401 selectinload(User.posts)


@shape
def lazy_of_textual_sql(session: Session) -> None:
    everybody = text("SELECT id, name FROM user_account")
    for user in session.scalars(select(User).from_statement(everybody)).all():  # parents
        len(user.posts)  # DBP401 selectinload(User.posts)


@shape
def lazy_while_streaming(session: Session) -> None:
    for team in session.scalars(select(Team).execution_options(yield_per=3)):  # parents
        len(team.staff)  # DBP401 selectinload(Team.staff)


@shape
def lazy_of_a_polymorphic_parent(session: Session) -> None:
    for employee in session.scalars(select(Employee)).all():  # parents
        assert employee.team  # DBP401 joinedload(Employee.team)


@shape
def lazy_of_a_subclass(session: Session) -> None:
    for team in session.scalars(select(Team).options(selectinload(Team.staff))):  # parents
        for each in team.staff:
            assert isinstance(each, Manager)
            len(each.goals)  # DBP401 selectinload(Team.staff.of_type(Manager)).selectinload(Manager.goals)


@shape
def columns_of_a_subclass(session: Session) -> None:
    for employee in session.scalars(select(Employee)).all():  # parents
        assert isinstance(employee, Manager)
        assert employee.level >= 0  # DBP401 selectin_polymorphic(Employee, [Manager])


@shape
def children_of_nodes(session: Session) -> None:
    for node in session.scalars(select(Node).where(Node.parent_id.is_(None))).all():  # parents
        len(node.children)  # DBP401 selectinload(Node.children)


@shape
def a_tree_walked_down(session: Session) -> None:
    def size(node: Node) -> int:
        return 1 + sum(map(size, node.children))  # DBP401 selectinload(Node.children)

    root = session.scalars(select(Node).where(Node.parent_id.is_(None)).limit(1)).one()  # parents
    assert size(root) == 5


@shape
def parents_of_nodes(session: Session) -> None:
    leaves = select(Node).where(Node.parent_id.is_not(None), ~Node.children.any())
    for node in session.scalars(leaves).all():  # parents
        assert node.parent  # DBP401 joinedload(Node.parent)


@shape
def immediate(session: Session) -> None:
    session.scalars(select(User).options(immediateload(User.posts))).all()  # DBP401 selectinload(User.posts)


@shape
def a_deferred_column(session: Session) -> None:
    for user in session.scalars(select(User)).all():  # parents
        assert user.bio  # DBP401 undefer(User.bio)


@shape
def a_column_left_out(session: Session) -> None:
    for post in session.scalars(select(Post).options(load_only(Post.user_id))).all():  # parents
        assert post.title  # DBP401 undefer(Post.title)


@shape
def expired_by_a_commit(session: Session) -> None:
    users = session.scalars(select(User)).all()
    session.commit()
    for user in users:
        assert user.name  # DBP401 expire_on_commit=False


@shape
def refreshed(session: Session) -> None:
    for post in session.scalars(select(Post).limit(6)).all():
        session.refresh(post)  # DBP401 select(Post).execution_options(populate_existing=True)


@shape
def dynamic(session: Session) -> None:
    for user in session.scalars(select(User)).all():
        user.visits.all()  # DBP401 WHERE visit.user_id IN (…)


@shape
def write_only(session: Session) -> None:
    for user in session.scalars(select(User)).all():
        session.scalars(user.notices.select()).all()  # DBP401 WHERE notice.user_id IN (…)


@shape
def gets(session: Session) -> None:
    for each in IDS:
        assert session.get(User, each)  # DBP401 WHERE user_account.id IN (…)


@shape
def gets_in_sessions_of_their_own(session: Session) -> None:
    for each in IDS:
        with Session(session.get_bind()) as own:
            assert own.get(User, each)  # DBP401 WHERE user_account.id IN (…)


@shape
def selects_by_name(session: Session) -> None:
    for each in range(USERS):
        session.scalars(select(User).where(User.name == f"user {each}")).one()  # DBP401 user_account.name IN


@shape
def legacy_queries(session: Session) -> None:
    for each in IDS:
        session.query(Profile).filter_by(user_id=each).one()  # DBP401 profile.user_id IN (…)


@shape
def queries_with_loaders_of_their_own(session: Session) -> None:
    for each in IDS:
        query = select(User).where(User.id == each).options(selectinload(User.posts))
        len(session.scalars(query).one().posts)  # DBP401 user_account.id IN (…)


@shape
def counts(session: Session) -> None:
    for user in session.scalars(select(User)).all():
        query = select(func.count()).select_from(Post).where(Post.user_id == user.id)
        assert session.scalar(query)  # DBP401 post.user_id IN (…)


@shape
def the_latest_of_each(session: Session) -> None:
    for each in IDS:
        query = select(Post).where(Post.user_id == each).order_by(Post.id.desc()).limit(1)
        assert session.scalars(query).one()  # DBP401 post.user_id IN (…)


@shape
def core_selects(session: Session) -> None:
    table = Post.__table__
    for each in IDS:
        session.execute(sa.select(table).where(table.c.user_id == each)).all()  # DBP401 post.user_id IN (…)


@shape
def textual_selects(session: Session) -> None:
    query = text("SELECT title FROM post WHERE user_id = :owner")
    for each in IDS:
        session.execute(query, {"owner": each}).all()  # DBP401 post.user_id IN (…)


@shaped("sqlite")
def selects_of_the_driver(session: Session) -> None:
    connection = session.connection()
    for each in IDS:
        connection.exec_driver_sql("SELECT title FROM post WHERE user_id = ?", (each,))  # DBP401 post.user_id


@shape
def joins_in_a_loop(session: Session) -> None:
    for each in range(1, 7):
        query = select(Tag.name).join(Post.tags).where(Post.id == each)
        session.scalars(query).all()  # DBP401 post.id IN (…)


@shape
async def awaited_attributes(session: AsyncSession) -> None:
    for user in (await session.scalars(select(User))).all():  # parents
        len(await user.awaitable_attrs.posts)  # DBP401 selectinload(User.posts)


@shape
async def awaited_gets(session: AsyncSession) -> None:
    for each in IDS:
        assert await session.get(User, each)  # DBP401 user_account.id IN (…)


@shape
async def awaited_selects(session: AsyncSession) -> None:
    for each in IDS:
        await session.scalars(select(Post).where(Post.user_id == each))  # DBP401 post.user_id IN (…)


@shape
async def lazy_in_run_sync(session: AsyncSession) -> None:
    def work(inner: Session) -> None:
        for user in inner.scalars(select(User)):  # parents
            len(user.posts)  # DBP401 selectinload(User.posts)

    await session.run_sync(work)


@shape
async def awaited_columns(session: AsyncSession) -> None:
    for user in (await session.scalars(select(User))).all():  # parents
        assert await user.awaitable_attrs.bio  # DBP401 undefer(User.bio)
