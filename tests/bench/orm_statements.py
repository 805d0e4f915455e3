"""Statements of the ORM as SQLAlchemy sends them to psycopg: every combination of some ways to ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Executable,
    ForeignKey,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    extract,
    func,
    insert,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    column_property,
    contains_eager,
    defer,
    joinedload,
    load_only,
    mapped_column,
    relationship,
    undefer,
)


class Base(DeclarativeBase):
    pass


class Company(Base):
    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    people: Mapped[list[Person]] = relationship(back_populates="company")


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(String(20))
    email: Mapped[str | None]
    first: Mapped[str]
    last: Mapped[str]
    born: Mapped[datetime]
    tags: Mapped[list[str]] = mapped_column(ARRAY(String))
    data: Mapped[Any] = mapped_column(JSONB)
    settings: Mapped[Any] = mapped_column(JSON)
    notes: Mapped[str] = mapped_column(deferred=True)
    company: Mapped[Company] = relationship(back_populates="people")
    boss: Mapped[Person] = relationship(remote_side="Person.id")
    orders: Mapped[list[Order]] = relationship(back_populates="person")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012

    @hybrid_property
    def adult(self) -> Any:
        return self.born < datetime(2000, 1, 1)


Person.full = column_property(Person.first + " " + Person.last)


class Manager(Person):
    __tablename__ = "manager"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    level: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "manager"}  # noqa: RUF012


class Order(Base):
    __tablename__ = "order"  # a reserved word: quoted
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    total: Mapped[float]
    placed: Mapped[datetime]
    version: Mapped[int]
    person: Mapped[Person] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(back_populates="order")
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


class Line(Base):
    __tablename__ = "line"
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    order: Mapped[Order] = relationship(back_populates="lines")


NOW = datetime(2020, 1, 1)
Boss = aliased(Person)

CONDITIONS: dict[str, ColumnElement[bool]] = {
    "key": Person.id == 1,
    "in": Person.id.in_([1, 2, 3]),
    "in none": Person.id.in_([]),
    "not in": Person.id.not_in([1, 2]),
    "rows": tuple_(Person.first, Person.last).in_([("a", "b"), ("c", "d")]),
    "keyset": tuple_(Person.born, Person.id) > tuple_(NOW, 5),
    "or": or_(Person.email == "x", and_(Person.first == "a", not_(Person.last == "b"))),
    "null": Person.email.is_(None),
    "distinct": Person.email.is_distinct_from("x"),
    "between": Person.born.between(NOW, NOW),
    "starts": Person.email.startswith("a%", autoescape=True),
    "contains": Person.email.icontains("x"),
    "regexp": Person.email.regexp_match("^a", flags="i"),
    "lower": func.lower(Person.email) == "x",
    "cast": cast(Person.born, String) == "x",
    "year": extract("year", Person.born) == 2000,
    "json": Person.data["a"]["b"].astext == "x",
    "json path": Person.data[("a", "b")].as_integer() > 3,
    "json has": Person.data.has_key("k"),
    "json in": Person.data.contains({"a": 1}),
    "plain json": Person.settings["a"].as_string() == "x",
    "array": Person.tags.contains(["a"]),
    "array any": func.any(Person.tags) == "a",
    "array overlap": Person.tags.op("&&")(["a"]),
    "any": Person.orders.any(Order.total > 5),
    "has": Person.company.has(Company.name == "x"),
    "exists": exists()
    .select_from(Order)
    .correlate(Person)
    .where(Order.person_id == Person.id, Order.placed > NOW),
    "subquery": Person.id.in_(select(Order.person_id).correlate(Person).where(Order.total > 1)),
    "scalar": select(func.count())
    .select_from(Order)
    .correlate(Person)
    .where(Order.person_id == Person.id)
    .scalar_subquery()
    > 3,
    "any of": Person.id == func.any(bindparam("ids", [1], type_=ARRAY(Person.id.type))),
    "case": case((Person.first == "a", 1), (Person.last == "b", 2), else_=3) == 2,
    "hybrid": Person.adult,
    "text": text("person.first = :given OR person.last ~ 'x'").bindparams(given="a"),
    "search": func.to_tsvector("english", Person.first).op("@@")(func.plainto_tsquery("x")),
    "collate": Person.first.collate("C") > "a",
    "interval": Person.born > func.now() - func.make_interval(0, 0, 0, 5),
}


def _shapes(where: ColumnElement[bool]) -> Iterator[Executable]:
    people = select(Person).where(where)
    joined = people.join(Person.orders).join(Order.lines)
    ranked = select(
        Order, func.row_number().over(partition_by=Order.person_id, order_by=Order.placed.desc()).label("n")
    ).subquery()
    yield people
    yield people.options(joinedload(Person.orders).joinedload(Order.lines), undefer(Person.notes)).limit(10)
    yield joined.options(contains_eager(Person.orders), load_only(Person.first)).order_by(
        Person.last.desc().nulls_last()
    )
    yield people.outerjoin(Boss, Person.boss_id == Boss.id).where(or_(Boss.id.is_(None), Boss.last == "x"))
    yield (
        select(Person.last, func.count(Order.id), func.sum(Order.total))
        .join(Person.orders)
        .where(where)
        .group_by(Person.last)
        .having(func.count() > 2)
        .order_by(func.count().desc())
    )
    yield select(func.count()).select_from(people.with_only_columns(Person.id).subquery())
    yield select(exists(people.with_only_columns(Person.id)))
    yield people.distinct().order_by(Person.last, Person.id).offset(10).limit(5)
    yield people.with_for_update(skip_locked=True, of=Person)
    yield (
        select(Person, ranked.c.total)
        .join(ranked, ranked.c.person_id == Person.id)
        .where(where, ranked.c.n == 1)
    )
    yield select(Manager).where(where, Manager.level > 2).options(defer(Manager.email))
    yield (
        update(Person)
        .where(where)
        .values(first="x", last=Person.last + "y", email=null())
        .returning(Person.id)
    )
    yield delete(Person).where(where)


def _single() -> Iterator[Executable]:
    first = (
        select(Person.id, literal_column("0").label("depth"))
        .where(Person.boss_id.is_(None))
        .cte("tree", recursive=True)
    )
    again = aliased(Person)
    tree = first.union_all(select(again.id, first.c.depth + 1).where(again.boss_id == first.c.id))
    yield select(tree).where(tree.c.depth < 5)
    yield insert(Order).values(person_id=1, total=2, placed=NOW, version=1).returning(Order.id)
    yield insert(Line).values([{"order_id": n, "number": 1, "text": "x"} for n in range(50)])
    yield insert(Order).from_select(["person_id", "total"], select(Person.id, func.random()))
    new = upsert(Line).values(order_id=1, number=1, text="x")
    yield new.on_conflict_do_nothing()
    yield new.on_conflict_do_update(
        index_elements=[Line.order_id, Line.number], set_={"text": new.excluded.text}, where=Line.text != "y"
    )
    yield update(Order).where(Order.person_id == Person.id, Person.first == "x").values(total=Order.total * 2)
    yield delete(Line).where(Line.order_id == Order.id, Order.total == 0)
    paid = update(Order).where(Order.id == 1).values(total=0).returning(Order.id).cte("paid")
    yield select(paid)
    yield union_all(select(Person.id), select(Order.id)).order_by("id")
    yield select(func.array_agg(aggregate_order_by(Person.first, Person.last.desc())))
    yield select(func.percentile_cont(0.5).within_group(Order.total))
    yield select(func.count().filter(Order.total > 1), func.lag(Order.total).over(order_by=Order.placed))
    lateral = select(Order.total).where(Order.person_id == Person.id).limit(3).lateral()
    yield select(Person.first, lateral.c.total).join(lateral, text("true"))
    yield select(func.generate_series(1, 5).table_valued("n").c.n)


def statements() -> list[str]:
    """The SQL of each, once."""
    made: list[Select[Any] | Executable] = [
        *(shape for where in CONDITIONS.values() for shape in _shapes(where)),
        *_single(),
    ]
    pairs = product(list(CONDITIONS.values())[:12], list(CONDITIONS.values())[12:24])
    made += [select(Person).where(one, other).order_by(Person.id) for one, other in pairs]
    dialect = postgresql.psycopg.dialect()
    options = {"render_postcompile": True}
    return list(dict.fromkeys(str(each.compile(dialect=dialect, compile_kwargs=options)) for each in made))  # type: ignore[attr-defined]
