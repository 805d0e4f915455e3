"""What capture hands over of how statements belong together, and of what is loaded along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import ForeignKey, event, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    InstrumentedAttribute,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.pool import StaticPool

from dbperf.capture import Capture, orm
from dbperf.capture.track import track
from dbperf.model.workload import Access, Seen
from dbperf.settings import Resolved


class Base(DeclarativeBase):
    pass


class Node(Base):
    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side="Node.id")
    children: Mapped[list[Node]] = relationship(back_populates="parent", order_by="Node.id")
    notes: Mapped[list[Note]] = relationship(back_populates="node")


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    node: Mapped[Node] = relationship(back_populates="notes")


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Node(children=[Node(notes=[Note()], children=[Node()]) for _ in range(4)]))
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def capture(engine: sa.Engine) -> Iterator[Capture]:
    capture = Capture(engine, "here", Resolved(), awake=lambda: None)
    yield capture
    capture.close()


def accesses(seen: Seen) -> list[Access]:
    return [access for each in seen.observed for access in each.accesses]


def told(capture: Capture, *kinds: str) -> list[tuple[str, str, int]]:
    """Kind, loader and calls of what is told."""
    found = accesses(capture.observations.seen())
    return sorted((each.kind, each.loader, each.calls) for each in found if each.kind in kinds)


def lines(access: Access) -> tuple[int, int]:
    assert access.site
    assert access.parent
    return access.site.line, access.parent.line


def test_parents_are_what_was_loaded_before_the_line_that_goes_on_from_them(
    engine: sa.Engine, capture: Capture
) -> None:
    start = test_parents_are_what_was_loaded_before_the_line_that_goes_on_from_them.__code__.co_firstlineno
    with track("page"), Session(engine) as session:
        for node in session.scalars(select(Node).where(Node.parent_id == 1)):
            for child in node.children:  # which loads nodes, too
                assert child.notes == []
    found = {each.loader: lines(each) for each in accesses(capture.observations.seen())}
    assert found == {
        "selectinload(Node.children)": (start + 6, start + 5),
        "selectinload(Node.notes)": (start + 7, start + 6),
    }


def test_a_tree_starts_where_its_root_was_loaded(engine: sa.Engine, capture: Capture) -> None:
    start = test_a_tree_starts_where_its_root_was_loaded.__code__.co_firstlineno

    def size(node: Node) -> int:
        return 1 + sum(map(size, node.children))

    with track("page"), Session(engine) as session:
        assert size(session.get_one(Node, 1)) == 9
    (only,) = accesses(capture.observations.seen())
    assert (only.loader, only.calls) == ("selectinload(Node.children)", 9)
    assert lines(only) == (start + 4, start + 7)


def test_an_answer_that_may_be_new_is_neither_another_nor_the_same(
    engine: sa.Engine, capture: Capture
) -> None:
    with track("poll"), Session(engine) as session:
        for _ in range(6):
            session.scalar(select(Note.id).where(Note.id == 1))
            session.commit()
    assert accesses(capture.observations.seen()) == []
    with track("poll"), Session(engine) as session:
        for number in range(6):
            session.scalar(select(Note.id).where(Note.id == 1))
            if number == 2:
                session.execute(sa.update(Note).values(node_id=1))
    assert told(capture, "loop", "again") == [("again", "", 4)]


def test_pages_are_no_loop_and_a_limit_is_no_page(engine: sa.Engine, capture: Capture) -> None:
    with track("pages"), Session(engine) as session:
        for number in range(6):
            session.scalars(select(Note.id).where(Note.node_id == 1).limit(2).offset(2 * number)).all()
        for number in range(6):
            session.execute(text("SELECT id FROM note LIMIT 2 OFFSET :start"), {"start": number}).all()
        for number in range(6):
            session.scalars(select(Note.id).where(Note.node_id == number).limit(2)).all()
    assert told(capture, "loop") == [("loop", "", 6)]


def test_a_batch_in_parts_is_not_told(engine: sa.Engine, capture: Capture) -> None:
    with Session(engine) as session:
        session.add_all(Node(id=100 + number) for number in range(1600))
        session.commit()
        with track("batch"):
            for node in session.scalars(select(Node).options(selectinload(Node.notes))):
                len(node.notes)
    assert told(capture, "loop", "lazy", "batch") == []


def test_what_is_loaded_along_with_its_reads(engine: sa.Engine, capture: Capture) -> None:
    def load() -> list[Note]:
        return list(session.scalars(select(Note).options(joinedload(Note.node).selectinload(Node.children))))

    with Session(engine) as session:
        notes = load()
        nested = "joinedload(Note.node).selectinload(Node.children)"
        assert told(capture, "eager") == [("eager", "joinedload(Note.node)", 1), ("eager", nested, 1)]
        assert not any(each.reads for each in accesses(capture.observations.seen()))
        assert len({each.node.id for each in notes}) == 4
        found = [each for each in accesses(capture.observations.seen()) if each.reads]
        assert [(each.loader, each.calls, each.reads) for each in found] == [("joinedload(Note.node)", 0, 4)]


def test_reads_are_fresh_once_also_of_what_was_loaded_long_before(
    engine: sa.Engine, capture: Capture
) -> None:
    def fresh() -> list[tuple[int, int]]:
        return [
            (each.calls, each.reads)
            for each in accesses(capture.observations.fresh())
            if each.loader == "joinedload(Note.node)"
        ]

    with Session(engine) as session:
        notes = session.scalars(select(Note).options(joinedload(Note.node))).all()
        assert fresh() == [(1, 0)]
        assert fresh() == []
        assert notes[0].node
        assert fresh() == [(0, 1)]
        assert fresh() == []
    capture.forget()  # as in a forked child
    assert accesses(capture.observations.seen()) == []


def test_close_leaves_the_attributes_as_they_were(engine: sa.Engine, capture: Capture) -> None:
    with Session(engine) as session:
        session.scalars(select(Note).options(joinedload(Note.node))).all()
        assert type(Note.node) is not InstrumentedAttribute
        capture.close()
        assert type(Note.node) is InstrumentedAttribute
        assert told(capture, "eager") == [("eager", "joinedload(Note.node)", 1)]


def test_where_the_orm_has_it_elsewhere_less_is_known(
    engine: sa.Engine, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(context: Any) -> None:
        raise AttributeError("_compile_options")

    for name in ("relationship_load", "loaded", "eager"):
        monkeypatch.setattr(orm, name, fails)
    with track("page"), Session(engine) as session:
        for node in session.scalars(select(Node).options(joinedload(Node.parent))).all():
            len(node.children)
    assert told(capture, "lazy", "loop", "eager") == [("loop", "", 9)]
    assert capture.observations.seen().unseen.observer_failures == 0


def test_core_asks_the_orm_nothing(
    engine: sa.Engine, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(orm, "loaded", asked.append)
    contexts: list[Any] = []
    event.listen(engine, "before_cursor_execute", lambda *args: contexts.append(args[4]))
    with engine.connect() as connection:
        connection.execute(select(Node.__table__))
        connection.execute(text("select 1"))
        connection.exec_driver_sql("select 2")
    assert len(contexts) == 3
    assert asked == []
