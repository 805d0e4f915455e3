"""What one execution is, however the driver is called for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import dbperf
from dbperf.model.workload import Statement, Workload

Only = Callable[[Any, str], Statement]
Seen = Callable[[Any], Workload]


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Token(Base):
    __tablename__ = "token"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.func.gen_random_uuid())
    name: Mapped[str]


def test_ddl_is_seen_and_what_the_dialect_asks_by_itself_is_not(engine: sa.Engine, seen: Seen) -> None:
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateTable(Item.__table__))  # type: ignore[arg-type]
        connection.execute(sa.schema.DropTable(Item.__table__))  # type: ignore[arg-type]
    statements = sorted(each.sql.split()[0] for each in seen(engine).statements)
    assert statements == ["CREATE", "DROP"]
    assert all((each.calls, each.rows) == (1, 0) for each in seen(engine).statements)


def test_an_insert_in_batches_is_one_execution(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        rows = [{"name": str(each)} for each in range(2500)]
        for _ in range(2):
            insert = sa.insert(Item).returning(Item.id)
            assert len(connection.execute(insert, rows).all()) == 2500
    inserted = only(engine, "INSERT")
    assert (inserted.calls, inserted.parameter_sets, inserted.latency.count) == (2, 5000, 2)
    (site,) = inserted.call_sites
    assert site.calls == 2


def test_an_insert_row_by_row_after_a_single_one(postgres: sa.Engine, only: Only) -> None:
    Base.metadata.create_all(postgres)
    for many in (1, 50):
        with Session(postgres) as session:
            session.add_all([Token(name=str(each)) for each in range(many)])
            session.commit()
    inserted = only(postgres, "INSERT")
    assert (inserted.calls, inserted.parameter_sets, inserted.rows) == (2, 51, 51)
    assert not inserted.accesses


def test_what_is_read_again_after_a_query_that_writes_in_its_with(postgres: sa.Engine, only: Only) -> None:
    Base.metadata.create_all(postgres)
    written = sa.insert(Item).values(name="new").returning(Item.id).cte()
    with postgres.begin() as connection:
        for _ in range(4):
            connection.execute(sa.select(sa.func.count(Item.id).label("wanted"))).all()
            connection.execute(sa.select(written)).all()
    assert not only(postgres, "wanted").accesses


def test_an_insert_in_batches_by_the_orm(engine: sa.Engine, only: Only) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Item(name=str(each)) for each in range(1500)])
        session.commit()
    inserted = only(engine, "INSERT")
    assert (inserted.calls, inserted.parameter_sets) == (1, 1500)


def test_an_insert_in_batches_by_asyncio(
    async_url: str, only: Only, asynchronously: Callable[..., Workload]
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            rows = [{"name": str(each)} for each in range(2500)]
            assert len((await connection.execute(sa.insert(Item).returning(Item.id), rows)).all()) == 2500

    inserted = only(asynchronously(async_url, work), "INSERT")
    assert (inserted.calls, inserted.parameter_sets, inserted.rows) == (1, 2500, 2500)


def test_a_batch_that_fails_is_one_failed_execution(postgres: sa.Engine, only: Only) -> None:
    Base.metadata.create_all(postgres)
    rows = [{"id": each % 2400, "name": ""} for each in range(2500)]  # the third batch repeats ids
    with pytest.raises(sa.exc.IntegrityError), postgres.begin() as connection:
        connection.execute(sa.insert(Item).returning(Item.id), rows)
    inserted = only(postgres, "INSERT")
    assert (inserted.calls, inserted.parameter_sets, inserted.errors) == (1, 2500, 1)
    assert inserted.failures == (("UniqueViolation", 1),)


def test_many_parameter_sets_in_one_call(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        insert = sa.text("insert into item (id, name) values (:id, :name)")
        connection.execute(insert, [{"id": each, "name": ""} for each in range(7)])
        connection.execute(insert, {"id": 7, "name": ""})
        connection.execute(sa.update(Item).where(Item.id == sa.bindparam("i")), [{"i": 1, "name": "a"}] * 3)
    inserted, updated = only(engine, "insert into"), only(engine, "UPDATE")
    assert (inserted.calls, inserted.parameter_sets, inserted.rows) == (2, 8, 8)
    assert (updated.calls, updated.parameter_sets) == (1, 3)


def test_lists_of_many_lengths_are_one_statement(engine: sa.Engine, only: Only) -> None:
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(sa.insert(Item), [{"id": each, "name": ""} for each in range(50)])
        for length in range(1, 51):
            connection.execute(sa.select(Item.name).where(Item.id.in_(range(length)))).all()
    selected = only(engine, "WHERE item.id IN")
    assert (selected.calls, selected.rows) == (50, sum(range(1, 51)))
    (site,) = selected.call_sites
    assert site.calls == 50


def test_text_and_what_is_sent_as_it_is(engine: sa.Engine, only: Only) -> None:
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    with engine.connect() as connection:
        for each in range(3):
            connection.execute(sa.text("select :a as as_text"), {"a": str(each)})
            connection.exec_driver_sql(f"select cast({mark} as int) as as_it_is", (each,))
            connection.exec_driver_sql(f"select 'literal {each}' as told_apart_by_nothing")
    for part in ("as_text", "as_it_is", "told_apart"):
        assert only(engine, part).calls == 3


@pytest.mark.parametrize("limit", [1, 2])
def test_statements_beyond_the_limit_are_counted_together(url: str, limit: int, seen: Seen) -> None:
    engine = dbperf.create_engine(url, dbperf=dbperf.Settings(max_statements=limit))
    with engine.connect() as connection:
        for each in ("a", "b", "c"):
            assert connection.exec_driver_sql(f"select 1 as {each}").all() == [(1,)]
    workload = seen(engine)
    assert sum(each.calls for each in workload.statements) == limit
    assert workload.coverage.folded_calls == 3 - limit
    assert workload.coverage.folded_ns > 0
    engine.dispose()
