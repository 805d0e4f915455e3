"""Capture on PostgreSQL, by psycopg and asyncpg, and on nothing but what the application sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

import dbperf
from dbperf import Settings
from dbperf.model.workload import Sample, Statement, Workload
from dbperf.workload.file import load


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship()


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id"))
    price: Mapped[Decimal] = mapped_column(default=Decimal("1.10"))


def only(workload: Workload, part: str) -> Statement:
    (found,) = [each for each in workload.statements if part in each.sql]
    return found


@pytest.fixture
def engine(psycopg_url: str) -> Any:
    engine = dbperf.create_engine(psycopg_url, dbperf=Settings(capture_parameters=True))
    yield engine
    engine.dispose()


def with_async_engine(url: str, work: Callable[[AsyncEngine], Any]) -> Workload:
    """Run `work` on an async engine of its own; what was seen."""

    async def main() -> Workload:
        engine = dbperf.create_async_engine(url, dbperf=Settings(capture_parameters=True))
        try:
            await work(engine)
        finally:
            await engine.dispose()
        return dbperf.perf(engine).workload()

    return asyncio.run(main())


@pytest.fixture(params=["psycopg", "asyncpg"])
def async_url(request: pytest.FixtureRequest, psycopg_url: str, asyncpg_url: str) -> str:
    return psycopg_url if request.param == "psycopg" else asyncpg_url


def test_only_what_the_application_sent_is_seen(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    (statement,) = dbperf.perf(engine).workload().statements
    assert statement.calls == 1
    assert statement.database.count("/") >= 2
    assert statement.database.endswith(f"/{engine.url.database}")


def test_async_only_what_the_application_sent_is_seen(async_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        async def one() -> None:
            async with engine.connect() as connection:
                await connection.execute(sa.text("select 1"))

        await asyncio.gather(*(one() for _ in range(5)))

    (statement,) = with_async_engine(async_url, work).statements
    assert statement.calls == 5


def test_rows_parameters_and_lazy_loads(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Author(name=name, books=[Book(), Book()]) for name in "abc"])
        session.commit()
        for author in session.scalars(sa.select(Author).where(Author.id > 0)):
            len(author.books)
    workload = dbperf.perf(engine).workload()
    lazy = only(workload, "= book.author_id")
    assert (lazy.calls, lazy.rows) == (3, 6)
    assert [sample.parameters for sample in lazy.samples] == [(1,), (2,), (3,)]
    assert all(sample.sql.endswith("WHERE $1::INTEGER = book.author_id") for sample in lazy.samples)
    (site,) = lazy.call_sites
    assert (site.file, site.function, site.calls) == (__file__, "test_rows_parameters_and_lazy_loads", 3)
    inserts = [each for each in workload.statements if each.sql.startswith("INSERT INTO author")]
    assert [(each.calls, each.rows) for each in inserts] == [(1, 3)]


def test_async_orm(async_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            session.add(Author(name="a", books=[Book(), Book()]))
            await session.commit()
            query = sa.select(Author).options(selectinload(Author.books)).where(Author.name == "a")
            assert len((await session.scalars(query)).one().books) == 2

    workload = with_async_engine(async_url, work)
    selected = only(workload, "author.name = ")
    assert (selected.calls, selected.rows, selected.samples[0].parameters) == (1, 1, ("a",))
    assert selected.call_sites[0].function == "test_async_orm.<locals>.work"
    assert only(workload, "INSERT INTO author").call_sites[0].file == __file__


def test_executemany(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("create table t (a int)"))
        connection.execute(sa.text("insert into t values (:a)"), [{"a": each} for each in range(5)])
    inserted = only(dbperf.perf(engine).workload(), "insert into t")
    assert (inserted.calls, inserted.parameter_sets, inserted.rows) == (1, 5, 5)
    assert [sample.parameters for sample in inserted.samples] == [(0,)]


def test_async_executemany(async_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(sa.text("create table t (a int)"))
            statement = sa.text("insert into t values (:a)")
            await connection.execute(statement, [{"a": each} for each in range(5)])

    inserted = only(with_async_engine(async_url, work), "insert into t")
    assert (inserted.calls, inserted.parameter_sets) == (1, 5)


def test_insertmanyvalues(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"name": str(each)} for each in range(2500)]
        assert len(connection.execute(sa.insert(Author).returning(Author.id), rows).all()) == 2500
    inserted = only(dbperf.perf(engine).workload(), "INSERT INTO author")
    assert (inserted.calls, inserted.parameter_sets, inserted.rows) == (1, 2500, 2500)
    assert inserted.samples == ()


def test_parameters_that_cannot_be_kept_are_not(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("create table t (a jsonb, b uuid)"))
        table = sa.table("t", sa.column("a", JSONB), sa.column("b", sa.UUID))
        connection.execute(table.insert(), {"a": {"secret": 1}, "b": UUID(int=1)})
        connection.execute(sa.select(table.c.a).where(table.c.b == UUID(int=1)))
    workload = dbperf.perf(engine).workload()
    assert only(workload, "INSERT INTO t").samples == ()
    assert only(workload, "SELECT t.a").samples[0].parameters == (UUID(int=1),)


def test_a_percent_sign_in_every_way_to_send_it(engine: sa.Engine) -> None:
    raw = {"no_parameters": True}
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select 7 % 4", execution_options=raw).scalar_one() == 3
        assert connection.execute(sa.text("select 7 % 4")).scalar_one() == 3
        assert connection.execute(sa.text("select 7 % 4 + :a"), {"a": 1}).scalar_one() == 4
    workload = dbperf.perf(engine).workload()
    assert sorted(each.calls for each in workload.statements) == [1, 2]
    samples = {sample for each in workload.statements for sample in each.samples}
    assert Sample("select 7 % 4", ()) in samples


def test_errors_are_counted_apart_from_timeouts(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        for sql in ("select 1 / 0 as failing", "select nothing"):
            with pytest.raises(sa.exc.DBAPIError):
                connection.execute(sa.text(sql))
            connection.rollback()
        connection.execute(sa.text("set statement_timeout = '10ms'"))
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("select pg_sleep(60)"))
    workload = dbperf.perf(engine).workload()
    for part, expected in (("failing", (1, 1, 0)), ("nothing", (1, 1, 0)), ("pg_sleep", (1, 0, 1))):
        statement = only(workload, part)
        assert (statement.calls, statement.errors, statement.timeouts) == expected
        assert statement.latency.count == 1


def test_async_the_applications_timeout_cancels_and_the_servers_is_one(async_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.execute(sa.text("select pg_sleep(60)"))
        async with engine.connect() as connection:
            await connection.execute(sa.text("set statement_timeout = '10ms'"))
            with pytest.raises(sa.exc.DBAPIError):
                await connection.execute(sa.text("select pg_sleep(60)"))
        async with engine.connect() as connection:
            with pytest.raises(sa.exc.DBAPIError):
                await connection.execute(sa.text("select nothing"))

    workload = with_async_engine(async_url, work)
    slept, failed = only(workload, "pg_sleep"), only(workload, "nothing")
    assert (slept.calls, slept.errors, slept.timeouts, slept.cancellations) == (2, 0, 1, 1)
    assert (failed.calls, failed.errors, failed.cancellations) == (1, 1, 0)


def test_a_driver_timeout_is_one(asyncpg_url: str) -> None:
    async def main() -> Workload:
        engine = dbperf.create_async_engine(asyncpg_url, connect_args={"command_timeout": 0.05})
        async with engine.connect() as connection:
            with pytest.raises(TimeoutError):
                await connection.execute(sa.text("select pg_sleep(60)"))
        await engine.dispose()
        return dbperf.perf(engine).workload()

    slept = only(asyncio.run(main()), "pg_sleep")
    assert (slept.errors, slept.timeouts, slept.cancellations) == (0, 1, 0)


def test_threads_share_an_engine(engine: sa.Engine) -> None:
    def work(number: int) -> None:
        for each in range(50):
            with engine.connect() as connection:
                connection.execute(sa.text("select cast(:a as int)"), {"a": number + each}).all()

    threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (statement,) = dbperf.perf(engine).workload().statements
    assert (statement.calls, statement.rows, len(statement.samples)) == (200, 200, 8)


def test_close_restores_the_dialect_exactly(psycopg_url: str) -> None:
    engine = sa.create_engine(psycopg_url)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
        before = dict(vars(engine.dialect))
        handle = dbperf.instrument(engine)
        connection.execute(sa.text("select 1"))
        handle.close()
        assert vars(engine.dialect) == before
    engine.dispose()


def test_no_secret_reaches_the_file(psycopg_url: str, tmp_path: Any) -> None:
    engine = dbperf.create_engine(psycopg_url)
    with engine.connect() as connection:
        connection.execute(sa.text("select 'Literal-Secret', cast(:a as text)"), {"a": "Parameter-Secret"})
    engine.dispose()
    handle = dbperf.perf(engine)
    handle.save(tmp_path / "workload.sqlite")
    assert load(tmp_path / "workload.sqlite") == handle.workload()
    content = (tmp_path / "workload.sqlite").read_bytes()
    assert b"-Secret" not in content
    assert str(engine.url.username).encode() + b"@" not in content
