"""What a statement costs with dbperf: CPU per statement, as a ratio of SQLAlchemy alone.

    uv run python tests/bench/capture.py

SQLite in memory, the cheapest database there is, so the ratios are the worst an application can see. The
engines take turns, round by round, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import dbperf

ROUNDS, STATEMENTS = 30, 300


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)


def listened(engine: sa.Engine) -> sa.Engine:
    """The engine with two cursor-event listeners that do nothing: the usual way to measure."""
    event.listen(engine, "before_cursor_execute", lambda *args: None)
    event.listen(engine, "after_cursor_execute", lambda *args: None)
    return engine


def instrumented(engine: sa.Engine, *, parameters: bool = False) -> sa.Engine:
    dbperf.instrument(engine, dbperf.Settings(enabled=True, capture_parameters=parameters))
    return engine


VARIANTS: dict[str, Callable[[sa.Engine], sa.Engine]] = {
    "raw": lambda engine: engine,
    "dbperf": instrumented,
    "dbperf, parameters": lambda engine: instrumented(engine, parameters=True),
    "two empty listeners": listened,
}


def core(engine: sa.Engine) -> None:
    statement = sa.select(Item).where(Item.id == sa.bindparam("wanted"))
    with engine.connect() as connection:
        for wanted in range(STATEMENTS):
            connection.execute(statement, {"wanted": wanted}).all()


def orm(engine: sa.Engine) -> None:
    with Session(engine) as session:
        for wanted in range(STATEMENTS):
            session.scalars(sa.select(Item).where(Item.id == wanted)).all()


def driver(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        for wanted in range(STATEMENTS):
            connection.exec_driver_sql("select id from item where id = ?", (wanted,)).all()


def asynchronous(engine: sa.Engine) -> None:
    async def work() -> None:
        statement = sa.select(Item.id).where(Item.id == sa.bindparam("wanted"))
        async with AsyncEngine(engine).connect() as connection:
            for wanted in range(STATEMENTS):
                await connection.execute(statement, {"wanted": wanted})
        await AsyncEngine(engine).dispose()

    asyncio.run(work())


def microseconds(work: Callable[[sa.Engine], None], engine: sa.Engine) -> float:
    started = time.process_time_ns()
    work(engine)
    return (time.process_time_ns() - started) / STATEMENTS / 1000


def measure(work: Callable[[sa.Engine], None], create: Callable[[], sa.Engine]) -> None:
    engines = {name: wrap(create()) for name, wrap in VARIANTS.items()}
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            spent[name].append(microseconds(work, engine))
    raw = statistics.median(spent["raw"])
    print(f"{work.__name__}: {raw:.1f} us of CPU a statement, raw")
    for name in list(VARIANTS)[1:]:
        more = statistics.median(
            mine - theirs for mine, theirs in zip(spent[name], spent["raw"], strict=True)
        )
        print(f"  {name:20} {1 + more / raw:5.2f}x  (+{more:.2f} us)")


def sqlite() -> sa.Engine:
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    return engine


def aiosqlite() -> sa.Engine:
    # Each run of an event loop opens a database of its own, so the table is made on connect.
    engine = create_async_engine("sqlite+aiosqlite://").sync_engine
    event.listen(engine, "connect", lambda raw, _: raw.execute("create table item (id integer primary key)"))
    return engine


if __name__ == "__main__":
    for each in (driver, core, orm):
        measure(each, sqlite)
    measure(asynchronous, aiosqlite)
