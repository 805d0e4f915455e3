"""What a single-row SELECT costs with dbperf, beside two empty listeners and other tools.

    uv run --group bench python -P tests/bench/capture.py [sqlite] [psycopg] [asyncpg]

CPU of this process alone, so PostgreSQL's own is not in it; both share one core, where that can be had: which
core it wakes up on changes the figures more than any tool does. The variants take short turns in an order
that changes each round, so that what else the machine does falls on all alike; told is the lowest decile of
their turns, less that of SQLAlchemy alone, and its ratio to two listeners that do nothing: the least that a
tool on SQLAlchemy's events costs. Tools that patch SQLAlchemy are put on and taken off around their turn.
OpenTelemetry's spans are recorded and dropped; exporting them would cost more. The flusher's CPU is that of
one flush a second, shared by the statements of a second.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import copy_context
from statistics import median, quantiles
from time import process_time_ns
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import dbperf
from dbperf.embedded import start
from dbperf.workload.flush import flusher

ROUNDS, PEERS_ONE_IN = 200, 8
STATEMENTS = range(1, 101)
"""Of one turn, and the keys they ask for."""

Turn = Callable[[], AbstractContextManager[object]]
Operation = Callable[[str], AbstractContextManager[object]]


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


ONE = sa.select(Item.id, Item.name).where(Item.id == sa.bindparam("wanted"))


# What is compared: each is put on an engine, and returns what goes around a turn.


def raw(engine: sa.Engine) -> Turn:
    return nullcontext


def two_empty_listeners(engine: sa.Engine) -> Turn:
    event.listen(engine, "before_cursor_execute", lambda *args: None)
    event.listen(engine, "after_cursor_execute", lambda *args: None)
    return nullcontext


def dbperf_(engine: sa.Engine, **settings: Any) -> Turn:
    dbperf.instrument(engine, dbperf.Settings(enabled=True, **settings))
    return nullcontext


def dbperf_with_parameters(engine: sa.Engine) -> Turn:
    return dbperf_(engine, capture_parameters=True)


def dbperf_with_a_store(engine: sa.Engine) -> Turn:
    return dbperf_(engine, store=f"{tempfile.mkdtemp()}/store.sqlite", flush_seconds=1e6)


def opentelemetry(engine: sa.Engine) -> Turn:
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    provider, instrumentor = TracerProvider(), SQLAlchemyInstrumentor()

    @contextmanager
    def turn() -> Iterator[None]:
        instrumentor.instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)
        yield
        instrumentor.uninstrument()

    return turn


def sqltap(engine: sa.Engine) -> Turn:
    import sqltap as tool

    session = tool.ProfilingSession(engine)

    @contextmanager
    def turn() -> Iterator[None]:
        with session:
            yield
        session.collect()

    return turn


def fastapi_sqlalchemy_monitor(engine: sa.Engine) -> Turn:
    from fastapi_sqlalchemy_monitor import SQLAlchemyMonitor

    monitor = SQLAlchemyMonitor(lambda *args: None, engine=engine)
    return lambda: nullcontext(monitor.init_statistics())


OURS = (dbperf_, dbperf_with_parameters, dbperf_with_a_store)
PEERS = (opentelemetry, sqltap, fastapi_sqlalchemy_monitor)
VARIANTS = (raw, two_empty_listeners, *OURS, *PEERS)


# What is executed: each shape once for threads and once for asyncio.


def held_connection(engine: sa.Engine, operation: Operation) -> None:
    with engine.connect() as connection:
        for wanted in STATEMENTS:
            connection.execute(ONE, {"wanted": wanted}).all()


def held_connection_one(engine: sa.Engine, operation: Operation) -> None:
    with engine.connect() as connection:
        for wanted in STATEMENTS:
            connection.execute(ONE, {"wanted": wanted}).one()


def checkout_per_call(engine: sa.Engine, operation: Operation) -> None:
    for wanted in STATEMENTS:
        with engine.connect() as connection:
            connection.execute(ONE, {"wanted": wanted}).all()


def exec_driver_sql(engine: sa.Engine, operation: Operation) -> None:
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    with engine.connect() as connection:
        for wanted in STATEMENTS:
            connection.exec_driver_sql(f"select id, name from item where id = {mark}", (wanted,)).all()


def orm_scalars(engine: sa.Engine, operation: Operation) -> None:
    with Session(engine) as session:
        for wanted in STATEMENTS:
            session.scalars(sa.select(Item).where(Item.id == wanted)).all()


def within_track(engine: sa.Engine, operation: Operation) -> None:
    with engine.connect() as connection:
        for first in STATEMENTS[::10]:
            with operation("ten statements"):
                for wanted in range(first, first + 10):
                    connection.execute(ONE, {"wanted": wanted}).all()


async def async_held_connection(engine: AsyncEngine, operation: Operation) -> None:
    async with engine.connect() as connection:
        for wanted in STATEMENTS:
            (await connection.execute(ONE, {"wanted": wanted})).all()


async def async_checkout_per_call(engine: AsyncEngine, operation: Operation) -> None:
    for wanted in STATEMENTS:
        async with engine.connect() as connection:
            (await connection.execute(ONE, {"wanted": wanted})).all()


async def async_exec_driver_sql(engine: AsyncEngine, operation: Operation) -> None:
    async with engine.connect() as connection:
        for wanted in STATEMENTS:
            sql = "select id, name from item where id = $1"
            (await connection.exec_driver_sql(sql, (wanted,))).all()


async def async_orm_scalars(engine: AsyncEngine, operation: Operation) -> None:
    async with AsyncSession(engine) as session:
        for wanted in STATEMENTS:
            (await session.scalars(sa.select(Item).where(Item.id == wanted))).all()


async def async_within_track(engine: AsyncEngine, operation: Operation) -> None:
    async with engine.connect() as connection:
        for first in STATEMENTS[::10]:
            with operation("ten statements"):
                for wanted in range(first, first + 10):
                    (await connection.execute(ONE, {"wanted": wanted})).all()


SHAPES = (held_connection, held_connection_one, checkout_per_call, exec_driver_sql, orm_scalars, within_track)
ASYNC_SHAPES = (
    async_held_connection,
    async_checkout_per_call,
    async_exec_driver_sql,
    async_orm_scalars,
    async_within_track,
)


# How it is measured.


def microseconds(work: Callable[[], object], around: Turn) -> float:
    """CPU of a statement, in one turn."""
    with around():
        started = process_time_ns()
        work()
        return (process_time_ns() - started) / len(STATEMENTS) / 1000


def measure(name: str, turns: dict[Any, tuple[Callable[[], object], Turn]]) -> None:
    """Have the variants take turns, and print what each of them added."""
    spent: dict[Any, list[float]] = {variant: [] for variant in turns}
    for number in range(-2, ROUNDS):
        order = [each for each in turns if each not in PEERS or number % PEERS_ONE_IN == 0]
        random.shuffle(order)
        for variant in order:
            each = microseconds(*turns[variant])
            if number >= 0:  # before, caches fill
                spent[variant].append(each)
    usual = low(spent[raw])
    print(f"\n{name}: {usual:.1f} us of CPU a statement, SQLAlchemy alone")
    for variant in list(turns)[1:]:
        added, note = low(spent[variant]) - usual, ""
        if variant is dbperf_with_a_store:
            flush = flush_microseconds(turns[variant][0])
            added += flush * usual / 1e6
            note = f"  {flush * usual / 1e6:.2f} us of it for a flush of {flush / 1000:.1f} ms a second"
        title = variant.__name__.strip("_").replace("_", " ")
        ratio = added / (low(spent[two_empty_listeners]) - usual)
        print(f"  {title:27} +{added:6.2f} us {ratio:7.2f}x{note}", flush=True)


def low(turns: list[float]) -> float:
    """The lowest decile: the machine is never faster than it is, but often slower."""
    return quantiles(turns, n=10)[0]


def flush_microseconds(work: Callable[[], object]) -> float:
    """CPU of writing down what came since last time."""
    spent = []
    for _ in range(5):
        work()
        started = process_time_ns()
        flusher.flush(within=60)
        spent.append((process_time_ns() - started) / 1000)
    return median(spent)


def operation_of(variant: object) -> Operation:
    return dbperf.track if variant in OURS else nullcontext


def put_on(engine: sa.Engine, variant: Callable[[sa.Engine], Turn]) -> Turn | None:
    with suppress(ImportError):
        return variant(engine)
    print(f"{variant.__name__} is not installed")
    return None


def blocking(url: str) -> None:
    engines = {variant: sa.create_engine(url) for variant in VARIANTS}
    around = {variant: turn for variant in VARIANTS if (turn := put_on(engines[variant], variant))}
    prepare(engines[raw])
    for shape in SHAPES:
        measure(
            f"{engines[raw].driver}, {shape.__name__}",
            {
                variant: (lambda v=variant: shape(engines[v], operation_of(v)), turn)  # noqa: B023
                for variant, turn in around.items()
            },
        )
    for engine in engines.values():
        engine.dispose()


def asynchronous(url: str) -> None:
    engines = {variant: create_async_engine(url) for variant in VARIANTS}
    around = {v: turn for v in VARIANTS if (turn := put_on(engines[v].sync_engine, v))}
    with asyncio.Runner() as runner:
        for shape in ASYNC_SHAPES:
            measure(
                f"{engines[raw].driver}, {shape.__name__}",
                {
                    v: (lambda v=v: run(runner, shape(engines[v], operation_of(v))), turn)  # noqa: B023
                    for v, turn in around.items()
                },
            )
        for engine in engines.values():
            runner.run(engine.dispose())


def run(runner: asyncio.Runner, work: Coroutine[Any, Any, None]) -> None:
    """In the context of now: a tool may have put something there for this turn."""
    runner.run(work, context=copy_context())


def prepare(engine: sa.Engine) -> None:
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(Item), [{"id": each, "name": f"item {each}"} for each in STATEMENTS])


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # sqltap's listeners are of SQLAlchemy 1.3
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    wanted = sys.argv[1:] or ["sqlite", "psycopg", "asyncpg"]
    if "sqlite" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            blocking(f"sqlite:///{folder}/items.sqlite")
    if {"psycopg", "asyncpg"} & set(wanted):
        with start() as server:
            if "psycopg" in wanted:
                blocking(server.url("psycopg"))
            if "asyncpg" in wanted:
                first = sa.create_engine(server.url("psycopg"))
                prepare(first)
                first.dispose()
                asynchronous(server.url("asyncpg"))
