"""Reads of a relationship are counted, and nobody can tell."""

from __future__ import annotations

import gc
import inspect
import pickle
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from sqlalchemy import ForeignKey
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, joinedload, mapped_column, relationship
from sqlalchemy.orm.attributes import InstrumentedAttribute

from dbperf.capture.reads import Reads


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="person")
    notes: Mapped[list[Note]] = relationship(back_populates="person", doc="What was written down")
    texts: AssociationProxy[list[str]] = association_proxy("notes", "text")
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Customer(Person):
    __mapper_args__: ClassVar = {"polymorphic_identity": "customer"}


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(default="")
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    person: Mapped[Person | None] = relationship(back_populates="notes")


NOTES = weakref.ref(Person), "notes"


@pytest.fixture
def session() -> Iterator[Session]:
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Person(notes=[Note()]), Customer(notes=[Note()])])
        session.flush()
        yield session
    engine.dispose()


@pytest.fixture
def reads() -> Iterator[Reads]:
    reads = Reads()
    reads.watch(*NOTES)
    yield reads
    reads.close()


def test_reads_of_instances_are_counted(session: Session, reads: Reads) -> None:
    for person in session.scalars(sa.select(Person).options(joinedload(Person.notes))).unique():
        assert len(person.notes) == 1  # a subclass has an attribute of its own
    assert reads.reads(*NOTES) == 2
    assert person.texts == [""]
    assert inspect.getattr_static(person, "notes") is Customer.notes
    assert sa.inspect(person).attrs.notes.value == person.notes
    assert reads.reads(*NOTES) > 3


def test_what_is_no_read_is_not_counted(session: Session, reads: Reads) -> None:
    person = session.scalars(sa.select(Person).options(joinedload(Person.notes))).unique().all()[0]
    person.notes = [Note()]
    session.add(Note(person=person))
    session.flush()
    session.merge(person)
    session.expire(person)
    session.delete(person)
    session.execute(sa.select(Person).join(Person.notes).where(Person.notes.any()))
    assert reads.reads(*NOTES) == 0


def seen(attribute: Any) -> dict[str, Any]:
    statement = sa.select(Person).join(attribute)
    key = statement._generate_cache_key()
    assert key is not None
    kind = type(attribute)
    return {
        "itself": id(attribute),
        "repr": repr(attribute),
        "class": attribute.__class__,
        "isinstance": isinstance(attribute, InstrumentedAttribute),
        "kind": (repr(kind), kind.__name__, kind.__qualname__, kind.__module__),
        "doc": (attribute.__doc__, kind.__doc__),
        "cache key": key.key,
        "inspected": id(sa.inspect(attribute)),
        "mapped": id(sa.inspect(Person).attrs["notes"].class_attribute),
        "all": [id(each) for each in sa.inspect(Person).all_orm_descriptors],
        "alias": type(aliased(Person).notes),
        "of type": type(attribute.of_type(Note)),
        "sql": str(statement),
        "members": [name for name, _ in inspect.getmembers(Person) if name[0] != "_"],
        "signature": str(inspect.signature(kind.__get__)),
    }


def test_nothing_else_can_tell(session: Session) -> None:
    before = seen(Person.notes)
    reads = Reads()
    reads.watch(*NOTES)
    assert type(Person.notes) is not InstrumentedAttribute
    assert seen(Person.notes) == before
    person = session.scalars(sa.select(Person)).first()
    assert pickle.loads(pickle.dumps(person)).id == 1
    with pytest.raises(AttributeError):
        Person.notes.anything  # noqa: B018
    reads.close()
    assert {type(each) for each in (Person.notes, Customer.notes)} == {InstrumentedAttribute}
    assert seen(Person.notes) == before


def test_two_who_watch_the_same(session: Session, reads: Reads) -> None:
    person = session.scalars(sa.select(Person)).all()[0]
    assert person.notes
    other = Reads()
    other.watch(*NOTES)
    other.watch(*NOTES)
    assert person.notes
    assert (reads.reads(*NOTES), other.reads(*NOTES)) == (2, 1)
    other.close()
    other.close()
    assert person.notes
    assert reads.reads(*NOTES) == 3
    reads.close()
    assert type(Person.notes) is InstrumentedAttribute


def test_a_class_that_is_gone_or_mapped_no_more() -> None:
    class Passing(DeclarativeBase):
        pass

    class Parent(Passing):
        __tablename__ = "parent"
        id: Mapped[int] = mapped_column(primary_key=True)
        children: Mapped[list[Any]] = relationship("Child")

    class Child(Passing):
        __tablename__ = "child"
        id: Mapped[int] = mapped_column(primary_key=True)
        parent_id: Mapped[int] = mapped_column(ForeignKey("parent.id"))

    parent = weakref.ref(Parent)
    reads = Reads()
    reads.watch(parent, "children")
    assert Parent(children=[Child()]).children
    assert reads.reads(parent, "children") == 1
    Passing.registry.dispose()
    reads.watch(parent, "children")
    del Passing, Parent, Child
    gc.collect()
    assert parent() is None
    assert reads.reads(parent, "children") == 1
    reads.watch(parent, "others")
    reads.close()
