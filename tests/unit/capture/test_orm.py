"""What the ORM knows of its statements, for every way to load something."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from sqlalchemy import ForeignKey, event
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Load,
    Mapped,
    Session,
    WriteOnlyMapped,
    aliased,
    contains_eager,
    immediateload,
    joinedload,
    load_only,
    mapped_column,
    relationship,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    with_polymorphic,
)
from sqlalchemy.pool import StaticPool

from dbperf.capture import slot
from dbperf.capture.orm import eager, loaded, relationship_load


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Company(Base):
    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    employees: Mapped[list[Employee]] = relationship(back_populates="company")
    sites: Mapped[list[Site]] = relationship(lazy="selectin")
    visits: DynamicMapped[Visit] = relationship()
    notices: WriteOnlyMapped[Notice] = relationship()


class Site(Base):
    __tablename__ = "site"
    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))


class Visit(Base):
    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))


class Notice(Base):
    __tablename__ = "notice"
    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))


class Employee(Base):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(default="")
    bio: Mapped[str] = mapped_column(default="", deferred=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    company: Mapped[Company | None] = relationship(back_populates="employees")
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    boss: Mapped[Employee | None] = relationship(remote_side="Employee.id", back_populates="reports")
    reports: Mapped[list[Employee]] = relationship(back_populates="boss")
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Manager(Employee):
    __tablename__ = "manager"
    id: Mapped[int] = mapped_column(ForeignKey("employee.id"), primary_key=True)
    level: Mapped[int] = mapped_column(default=1)
    memo: Mapped[str] = mapped_column(default="", deferred=True)
    notes: Mapped[list[Note]] = relationship()
    __mapper_args__: ClassVar = {"polymorphic_identity": "manager"}


class Director(Manager):
    __tablename__ = "director"
    id: Mapped[int] = mapped_column(ForeignKey("manager.id"), primary_key=True)
    shares: Mapped[int] = mapped_column(default=1)
    __mapper_args__: ClassVar = {"polymorphic_identity": "director"}


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    manager_id: Mapped[int] = mapped_column(ForeignKey("manager.id"))


def models(*classes: type) -> tuple[str, ...]:
    return tuple(f"{__name__}.{each.__name__}" for each in classes)


EMPLOYEES = models(Employee, Manager, Director)

Told = tuple[slot.Load | None, tuple[str, ...], tuple[str, ...]]
"""What is told of a statement: the load, the classes loaded, the loaders of what came along."""


def told(context: Any) -> Told:
    return relationship_load(context), loaded(context), tuple(each.loader for each in eager(context))


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        boss = Director(id=1, notes=[Note(), Note()])
        session.add(Company(employees=[boss, Manager(id=2, boss=boss), Employee(id=3, boss=boss)]))
        session.commit()
    yield engine
    engine.dispose()


def run(engine: sa.Engine, work: Callable[[Session], object]) -> list[Told]:
    seen: list[Told] = []

    def listen(_connection: Any, _cursor: Any, _sql: Any, _parameters: Any, context: Any, _many: Any) -> None:
        seen.append(told(context))

    event.listen(engine, "before_cursor_execute", listen)
    with Session(engine) as session:
        work(session)
    event.remove(engine, "before_cursor_execute", listen)
    return seen


def loads(engine: sa.Engine, work: Callable[[Session], object]) -> list[slot.Load]:
    return [load for load, _, _ in run(engine, work) if load and "sites" not in load.loader]


def load(kind: str, loader: str, parent: type) -> slot.Load:
    return slot.Load(kind, loader, *models(parent))


ALL_OF_AN_EMPLOYEE = Load(Employee).selectinload("*")


def first(session: Session, statement: sa.Select[Any]) -> Any:
    return session.scalars(statement).unique().first()


def managers(session: Session) -> list[Manager]:
    return [each for each in session.identity_map.values() if isinstance(each, Manager)]


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (
            lambda s: first(s, sa.select(Company)).employees,
            [load("lazy", "selectinload(Company.employees)", Company)],
        ),
        (
            lambda s: first(s, sa.select(Employee).where(Employee.id == 2)).company,
            [load("lazy", "joinedload(Employee.company)", Manager)],
        ),
        (
            lambda s: first(s, sa.select(aliased(Manager))).notes,
            [load("lazy", "selectinload(Manager.notes)", Director)],
        ),
        (
            lambda s: first(
                s, sa.select(Company).options(immediateload(Company.employees))
            ),  # one statement a parent, too
            [load("lazy", "selectinload(Company.employees)", Company)],
        ),
        (
            lambda s: [
                each.reports
                for each in first(s, sa.select(Company).options(selectinload(Company.employees))).employees[
                    :1
                ]
            ],
            [
                load("batch", "selectinload(Company.employees)", Company),
                load("lazy", "selectinload(Company.employees).selectinload(Employee.reports)", Director),
            ],
        ),
        (
            lambda s: (
                first(s, sa.select(Company).options(joinedload(Company.employees))),
                managers(s)[0].notes,
            ),
            [
                load(
                    "lazy",
                    "joinedload(Company.employees.of_type(Manager)).selectinload(Manager.notes)",
                    Director,
                )
            ],
        ),
        (
            lambda s: first(s, sa.select(Company).options(subqueryload(Company.employees))),
            [load("batch", "subqueryload(Company.employees)", Company)],
        ),
        (
            lambda s: first(s, sa.select(Employee).where(Employee.id == 3).options(ALL_OF_AN_EMPLOYEE)),
            [load("batch", "selectinload(Employee.company)", Employee)],
        ),
        (
            lambda s: first(
                s,
                sa.select(Company).options(
                    selectinload(Company.employees.of_type(Manager)).selectinload(Manager.notes)
                ),
            ),
            [
                load("batch", "selectinload(Company.employees.of_type(Manager))", Company),
                load(
                    "batch",
                    "selectinload(Company.employees.of_type(Manager)).selectinload(Manager.notes)",
                    Manager,
                ),
            ],
        ),
        (
            lambda s: first(s, sa.select(Employee).options(selectin_polymorphic(Employee, [Manager]))),
            [load("batch", "selectin_polymorphic(Employee, [Manager])", Manager)],
        ),
        (
            lambda s: first(s, sa.select(Employee).where(Employee.id == 2)).level,
            [load("column", "selectin_polymorphic(Employee, [Manager])", Manager)],
        ),
        (
            lambda s: first(s, sa.select(Manager).where(Manager.id == 1)).shares,
            [load("column", "selectin_polymorphic(Manager, [Director])", Director)],
        ),
        (
            lambda s: first(s, sa.select(Manager).where(Manager.id == 1)).bio,
            [load("column", "undefer(Employee.bio)", Director)],
        ),
        (
            lambda s: first(s, sa.select(Manager).where(Manager.id == 2)).memo,
            [load("column", "undefer(Manager.memo)", Manager)],
        ),
        (
            lambda s: first(s, sa.select(Company).options(load_only(Company.id))).name,
            [load("column", "undefer(Company.name)", Company)],
        ),
        (
            lambda s: (found := first(s, sa.select(Company)), s.commit(), found.name),
            [load("column", "expire_on_commit=False", Company)],
        ),
        (
            lambda s: (found := first(s, sa.select(Manager).where(Manager.id == 2)), s.commit(), found.name),
            [load("column", "expire_on_commit=False", Manager)],
        ),
        (
            lambda s: s.refresh(first(s, sa.select(Company))),
            [load("column", "select(Company).execution_options(populate_existing=True)", Company)],
        ),
        (lambda s: s.get(Company, 1), []),
        (lambda s: first(s, sa.select(Company)).visits.all(), []),
        (lambda s: s.scalars(first(s, sa.select(Company)).notices.select()).all(), []),
        (lambda s: s.execute(sa.select(Company.__table__)).all(), []),
        (lambda s: s.execute(sa.text("select 1")), []),
        (lambda s: (s.add(Company()), s.flush()), []),
        (lambda s: s.connection().exec_driver_sql("select 1"), []),
    ],
)
def test_load(engine: sa.Engine, work: Callable[[Session], object], expected: list[slot.Load]) -> None:
    found = loads(engine, work)
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_a_declared_loader_is_named_as_such_and_left_as_it_is(engine: sa.Engine) -> None:
    seen = run(engine, lambda s: first(s, sa.select(Company)))
    assert [each for _, _, each in seen] == [(), ('relationship(lazy="selectin") of Company.sites',)]


@pytest.mark.parametrize(
    ("statement", "classes", "along"),
    [
        (sa.select(Company), models(Company, Site), ()),
        (sa.select(Employee), EMPLOYEES, ()),
        (sa.select(aliased(Employee)), EMPLOYEES, ()),
        (sa.select(with_polymorphic(Employee, "*")), EMPLOYEES, ()),
        (sa.select(Manager, Note).join(Manager.notes), models(Manager, Director, Note), ()),
        (sa.select(Employee.id, Employee.name), (), ()),
        (sa.select(Note).from_statement(sa.text("select * from note")), models(Note), ()),
        (
            sa.select(Employee).options(joinedload(Employee.company).joinedload(Company.employees)),
            (*EMPLOYEES, *models(Company, Site)),
            ("joinedload(Employee.company)", "joinedload(Employee.company).joinedload(Company.employees)"),
        ),
        (
            sa.select(Manager).options(selectinload(Manager.boss).joinedload(Employee.reports)),
            (*models(Manager, Director), *EMPLOYEES),
            ("selectinload(Employee.boss)", "selectinload(Employee.boss).joinedload(Employee.reports)"),
        ),
        (
            sa.select(Company).join(Company.employees).options(contains_eager(Company.employees)),
            models(Company, Site),
            (),
        ),
    ],
)
def test_what_is_loaded_and_what_along(
    engine: sa.Engine, statement: sa.Select[Any], classes: tuple[str, ...], along: tuple[str, ...]
) -> None:
    seen = run(engine, lambda s: s.execute(statement).unique().all())
    found = dict.fromkeys(each for _, loaded, _ in seen for each in loaded)
    assert set(found) == set(classes)
    assert tuple(each for _, _, loaders in seen for each in loaders if "sites" not in each) == along


def test_a_refresh_brings_no_instance(engine: sa.Engine) -> None:
    *_, (refreshed, classes, _) = run(engine, lambda s: s.refresh(first(s, sa.select(Note))))
    assert refreshed
    assert classes == ()


def test_all_of_a_batch_in_parts_is_a_batch(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.add_all(Manager(company_id=1) for _ in range(1200))
        session.commit()
    by_type = run(
        engine,
        lambda s: s.scalars(sa.select(Employee).options(selectin_polymorphic(Employee, [Manager]))).all(),
    )
    by_parent = run(
        engine, lambda s: s.scalars(sa.select(Employee).options(selectinload(Employee.reports))).all()
    )
    # In parts from SQLAlchemy 2.1 on.
    assert {each and each.kind for each, _, _ in by_type[1:]} == {"batch"}
    assert [each and each.kind for each, _, _ in by_parent] == [None, "batch", "batch", "batch"]


def test_async() -> None:
    async def work() -> list[slot.Load | None]:
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        seen: list[slot.Load | None] = []
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(sa.insert(Note), {"manager_id": 1})
            await connection.execute(sa.insert(Employee), {"id": 1, "kind": "manager"})
            await connection.execute(sa.insert(Manager.__table__), {"id": 1})
        event.listen(
            engine.sync_engine, "before_cursor_execute", lambda *args: seen.append(relationship_load(args[4]))
        )
        async with AsyncSession(engine) as session:
            manager = await session.get_one(Manager, 1)
            assert len(await manager.awaitable_attrs.notes) == 1
        await engine.dispose()
        return seen

    assert asyncio.run(work()) == [None, load("lazy", "selectinload(Manager.notes)", Manager)]


def test_an_attribute_is_that_of_the_class_that_declares_it_and_keeps_nothing_alive() -> None:
    class Passing(DeclarativeBase):
        pass

    class Parent(Passing):
        __tablename__ = "parent"
        id: Mapped[int] = mapped_column(primary_key=True)
        children: Mapped[list[Any]] = relationship("Child", lazy="joined")

    class Child(Passing):
        __tablename__ = "child"
        id: Mapped[int] = mapped_column(primary_key=True)
        parent_id: Mapped[int] = mapped_column(ForeignKey("parent.id"))

    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    Passing.metadata.create_all(engine)
    found: list[Any] = []
    event.listen(engine, "before_cursor_execute", lambda *args: found.extend(eager(args[4])))
    with Session(engine) as session:
        session.scalars(sa.select(Parent)).unique().all()
    (only,) = found
    assert (only.owner(), only.key) == (Parent, "children")
    gone = weakref.ref(Parent)
    engine.dispose()
    Passing.registry.dispose()
    del Parent, Child, Passing, session, engine
    gc.collect()
    assert gone() is None
    assert only.owner() is None
