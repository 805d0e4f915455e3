"""What SQLAlchemy really sends, compiled for both PostgreSQL drivers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import (
    ForeignKey,
    Select,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    types,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import asyncpg, psycopg
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    joinedload,
    mapped_column,
    relationship,
    with_loader_criteria,
)

from dbperf.model.facts import Role
from dbperf.statements import Canonical, analyze_statement, canonical, template


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    created: Mapped[datetime]
    active: Mapped[bool]
    orders: Mapped[list[Order]] = relationship(back_populates="user")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    status: Mapped[str]
    total: Mapped[float]
    placed: Mapped[datetime]
    user: Mapped[User] = relationship(back_populates="orders")
    items: Mapped[list[Item]] = relationship()


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    name: Mapped[str]


def _page() -> Select[Any]:
    return (
        select(User)
        .options(joinedload(User.orders).joinedload(Order.items))
        .order_by(User.created.desc())
        .limit(10)
    )


def _top() -> Select[Any]:
    ranked = select(
        Order, func.row_number().over(partition_by=Order.user_id, order_by=Order.total.desc()).label("n")
    )
    top = ranked.subquery()
    return select(aliased(Order, top)).where(top.c.n <= 3)


def _tree() -> Select[Any]:
    start = select(Order.id, literal(0).label("depth")).where(Order.user_id == 1).cte("tree", recursive=True)
    again = aliased(Order)
    tree = start.union_all(select(again.id, start.c.depth + 1).where(again.user_id == start.c.id))
    return select(tree.c.id).where(tree.c.depth < 5)


NOW = datetime(2020, 1, 1)
RECENT = select(Order.user_id, func.count().label("n")).where(Order.placed > NOW).group_by(Order.user_id)
BIGGEST = select(func.max(Order.total).label("total")).where(Order.user_id == User.id)
STATEMENTS: dict[str, Callable[[], Any]] = {
    "by key": lambda: select(User).where(User.id == 1),
    "several": lambda: select(User.id, User.email).where(User.email == "x", User.active, User.created > NOW),
    "in": lambda: select(Order).where(Order.id.in_([1, 2, 3])),
    "in nothing": lambda: select(Order).where(Order.id.in_([])),
    "not in": lambda: select(Order).where(Order.id.not_in([1, 2])),
    "selectin": lambda: select(Order).where(Order.user_id.in_(bindparam("keys", [1, 2], expanding=True))),
    "rows": lambda: select(Order).where(tuple_(Order.user_id, Order.status).in_([(1, "a"), (2, "b")])),
    "keyset": lambda: select(Order).where(tuple_(Order.placed, Order.id) > (NOW, 5)).order_by(Order.placed),
    "or": lambda: select(User).where(or_(User.email == "x", User.id == 3)),
    "between": lambda: select(Order).where(Order.total.between(1, 2)),
    "null": lambda: select(User).where(User.email.is_(None), User.created.is_not(None)),
    "prefix": lambda: select(User).where(User.email.startswith("a%b", autoescape=True)),
    "contains": lambda: select(User).where(User.email.contains("x")),
    "ilike": lambda: select(User).where(User.email.ilike("%x%")),
    "lower": lambda: select(User).where(func.lower(User.email) == "x"),
    "cast": lambda: select(User).where(cast(User.created, types.Date) == NOW.date()),
    "join": lambda: select(User.email, Order.total).join(User.orders).where(Order.status == "open"),
    "outer": lambda: select(User.id, func.count(Order.id)).outerjoin(User.orders).group_by(User.id),
    "joinedload": lambda: select(Order).options(joinedload(Order.user)).where(Order.status == "open"),
    "joinedload page": _page,
    "any": lambda: select(User).where(User.orders.any(Order.status == "open")),
    "has": lambda: select(Order).where(~Order.user.has(User.active)),
    "exists": lambda: select(exists().where(User.email == "x")),
    "in subquery": lambda: select(User).where(User.id.in_(select(Order.user_id).where(Order.total > 5))),
    "scalar": lambda: select(User.id, BIGGEST.scalar_subquery()),
    "cte": lambda: (lambda recent: select(User).join(recent, recent.c.user_id == User.id))(RECENT.cte()),
    "recursive": _tree,
    "derived": lambda: (lambda recent: select(recent.c.n).where(recent.c.user_id == 3))(RECENT.subquery()),
    "lateral": lambda: select(User.id, BIGGEST.limit(3).lateral("l").c.total),
    "window": lambda: select(func.sum(Order.total).over(partition_by=Order.user_id, order_by=Order.placed)),
    "top": _top,
    "union": lambda: union_all(select(User.id).where(User.active), select(Order.id)).order_by("id").limit(5),
    "case": lambda: select(func.sum(case((Order.status == "open", 1), else_=0))),
    "filter": lambda: select(func.count().filter(Order.status == "open")),
    "having": lambda: select(Order.user_id).group_by(Order.user_id).having(func.count() > 3),
    "criteria": lambda: select(User).options(with_loader_criteria(User, User.active)),
    "locked": lambda: select(Order).where(Order.id == 1).with_for_update(skip_locked=True),
    "offset": lambda: select(Order).order_by(Order.id).offset(1000).limit(10),
    "text": lambda: text("SELECT * FROM orders WHERE status = :status AND placed > :since"),
    "insert": lambda: insert(Item),
    "insert rows": lambda: insert(Item).values([{"order_id": 1, "name": "a"}, {"order_id": 2, "name": "b"}]),
    "insert returning": lambda: insert(Item).returning(Item.id, sort_by_parameter_order=True),
    "insert select": lambda: insert(Item).from_select(["order_id", "name"], select(Order.id, Order.status)),
    "upsert": lambda: (
        lambda new: new.on_conflict_do_update(index_elements=[Item.id], set_={"name": new.excluded.name})
    )(upsert(Item)),
    "update": lambda: update(Order).where(Order.id == 1).values(total=Order.total + 1, status="paid"),
    "update from": lambda: update(Order).where(Order.user_id == User.id, User.active).values(status="x"),
    "delete": lambda: delete(Item).where(Item.order_id == 5),
    "delete using": lambda: delete(Item).where(Item.order_id == Order.id).returning(Item.id),
}  # fmt: skip

DRIVERS = {"psycopg": psycopg.dialect, "asyncpg": asyncpg.dialect}


def compiled(name: str, driver: str, **extra: Any) -> Canonical:
    dialect = DRIVERS[driver]()
    made = STATEMENTS[name]().compile(dialect=dialect, compile_kwargs={"render_postcompile": True}, **extra)
    return canonical(str(made), dialect.paramstyle)


@pytest.mark.parametrize("name", STATEMENTS)
def test_both_drivers_forms_are_read_and_are_one_statement(name: str) -> None:
    forms = {driver: compiled(name, driver) for driver in DRIVERS}
    facts = [analyze_statement(form.sql) for form in forms.values()]
    assert [each.parsed for each in facts] == [True, True], [each.reason for each in facts]
    assert facts[0].tables == facts[1].tables
    assert facts[0].tables or name == "text"
    made = [template(form.sql, "postgresql") for form in forms.values()]
    assert made[0].fingerprint == made[1].fingerprint
    assert analyze_statement(made[0].sql).parsed


@pytest.mark.parametrize("driver", DRIVERS)
def test_insertmanyvalues_is_one_statement_whatever_the_batch(driver: str) -> None:
    row = "(%(order_id__{0})s::INTEGER, %(name__{0})s::VARCHAR, {0})"
    sql = (
        "INSERT INTO item (order_id, name) SELECT p0::INTEGER, p1::VARCHAR FROM (VALUES {}) "
        "AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING item.id, item.id AS id__1"
    )
    batches = [sql.format(", ".join(row.format(n) for n in range(size))) for size in (1, 2, 100)]
    made = [canonical(batch, "pyformat").sql for batch in batches]
    assert len({template(each, "postgresql").fingerprint for each in made}) == 1
    facts = analyze_statement(made[1])
    assert (facts.kind, [table.name for table in facts.tables]) == ("insert", ["item"])


def test_what_an_index_advisor_needs_is_there() -> None:
    roles: dict[str, dict[tuple[str, str], set[Role]]] = {}
    for name in ("any", "in subquery", "joinedload page", "keyset"):
        facts = analyze_statement(compiled(name, "psycopg").sql)
        roles[name] = {(each.table.name, each.name): set(each.roles) for each in facts.columns if each.table}
    assert roles["any"]["orders", "user_id"] == {Role.JOIN}
    assert roles["any"]["orders", "status"] == {Role.EQUALITY}
    assert Role.JOIN in roles["in subquery"]["orders", "user_id"]
    assert Role.JOIN in roles["joinedload page"]["orders", "user_id"]
    assert Role.JOIN in roles["joinedload page"]["item", "order_id"]
    assert Role.ORDER in roles["joinedload page"]["user", "created"]
    assert roles["keyset"]["orders", "placed"] >= {Role.RANGE, Role.ORDER}
