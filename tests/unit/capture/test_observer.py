"""What is seen of a SQLite engine's statements, and that nothing of the engine changes."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import pickle
import threading
import traceback
import weakref
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from dbperf.capture import Capture, record
from dbperf.model.workload import Observed
from dbperf.settings import Resolved


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def capture_of(engine: sa.Engine, **settings: Any) -> Capture:
    return Capture(engine, "here", Resolved(**settings))


def only(capture: Capture, starts: str) -> Observed:
    (found,) = [each for each in capture.observations.seen().observed if each.sql.startswith(starts)]
    return found


def line_above() -> int:
    """The line above the caller's."""
    return (traceback.extract_stack(limit=2)[0].lineno or 0) - 1


def test_calls_rows_time_and_line(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    with engine.begin() as connection:
        for name in ("a", "b", "c"):
            connection.execute(sa.insert(Author), {"name": name})
            line = line_above()
    seen = only(capture, "INSERT")
    assert (seen.calls, seen.parameter_sets, seen.rows, seen.errors, seen.cancellations) == (3, 3, 3, 0, 0)
    assert (seen.dialect, seen.paramstyle, seen.database) == ("sqlite", "qmark", "here")
    assert seen.execute_ns > 0
    assert seen.latency.count == 3
    assert seen.parameters == ()
    (site,) = seen.call_sites
    assert (site.file, site.line, site.function, site.calls) == (
        __file__,
        line,
        "test_calls_rows_time_and_line",
        3,
    )


def test_executemany_counts_its_parameter_sets(engine: sa.Engine) -> None:
    capture = capture_of(engine, capture_parameters=True)
    with engine.begin() as connection:
        connection.execute(sa.insert(Author), [{"id": each, "name": str(each)} for each in range(5)])
    seen = only(capture, "INSERT")
    assert (seen.calls, seen.parameter_sets, seen.rows) == (1, 5, 5)
    assert seen.parameters == ((0, "0"),)


def test_insertmanyvalues_is_seen_as_what_was_sent(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    with engine.begin() as connection:
        names = [{"name": str(each)} for each in range(10)]
        assert len(connection.execute(sa.insert(Author).returning(Author.id), names).all()) == 10
    inserts = [each for each in capture.observations.seen().observed if each.sql.startswith("INSERT")]
    assert sum(each.calls for each in inserts) == 1
    assert inserts[0].sql.count("(?") == 10


def test_a_statement_without_parameters(engine: sa.Engine) -> None:
    capture = capture_of(engine, capture_parameters=True)
    with engine.connect() as connection:
        connection.exec_driver_sql("select 5 % 2", execution_options={"no_parameters": True})
    seen = only(capture, "select 5 % 2")
    assert (seen.calls, seen.parameters) == (1, ((),))


def test_an_error_is_counted_and_its_traceback_has_no_frame_of_ours(engine: sa.Engine) -> None:
    def frames() -> list[str]:
        with pytest.raises(sa.exc.OperationalError) as caught, engine.connect() as connection:
            connection.execute(sa.text("select nothing"))
        traces = (caught.value, caught.value.orig)
        return [f.name for each in traces if each for f in traceback.extract_tb(each.__traceback__)]

    plain = frames()
    capture = capture_of(engine)
    assert frames() == plain
    seen = only(capture, "select nothing")
    assert (seen.calls, seen.errors, seen.cancellations, seen.rows) == (1, 1, 0, 0)
    assert seen.latency.count == 1


def test_an_error_of_executemany_and_of_no_parameters(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(Author), [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])
    with pytest.raises(sa.exc.OperationalError), engine.begin() as connection:
        connection.exec_driver_sql("select nothing", execution_options={"no_parameters": True})
    assert (only(capture, "INSERT").errors, only(capture, "INSERT").parameter_sets) == (1, 2)
    assert only(capture, "select nothing").errors == 1


class Interrupted(BaseException):
    """What ends a task from outside, of a framework we do not know."""


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (KeyboardInterrupt, "cancellations"),
        (Interrupted, "cancellations"),
        (TimeoutError, "timeouts"),
        (RuntimeError, "errors"),
    ],
)
def test_what_ends_a_statement_early_is_no_error(
    engine: sa.Engine, raised: type[BaseException], kind: str
) -> None:
    def interrupt() -> None:
        raise raised

    with engine.connect() as connection:
        original = engine.dialect.do_execute
        vars(engine.dialect)["do_execute"] = lambda *args: interrupt()
        capture = capture_of(engine)
        with pytest.raises(raised):
            connection.execute(sa.text("select 1"))
        capture.close()
        vars(engine.dialect)["do_execute"] = original
    seen = only(capture, "select 1")
    counts = {"errors": seen.errors, "timeouts": seen.timeouts, "cancellations": seen.cancellations}
    assert counts == dict.fromkeys(counts, 0) | {kind: 1}
    assert seen.failures == ((raised.__name__, 1),)


def test_a_lazy_load_is_at_the_attribute_access(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.add_all([Author(name=name, books=[Book(), Book()]) for name in "abc"])
        session.commit()
        capture = capture_of(engine)
        for author in session.scalars(sa.select(Author)):
            assert len(author.books) == 2
            line = line_above()
    (site,) = only(capture, "SELECT book").call_sites
    assert (site.file, site.line, site.calls) == (__file__, line, 3)


@pytest.mark.parametrize("often", [3, 9, 11, 12, 33])
def test_a_line_that_runs_now_and_then_among_another_that_loops(engine: sa.Engine, often: int) -> None:
    capture = capture_of(engine)
    with engine.connect() as connection:
        for _ in range(100):
            for _ in range(often):
                connection.execute(sa.text("select 1"))
            connection.execute(sa.text("select 1"))
    loops, rare = only(capture, "select 1").call_sites
    assert loops.calls + rare.calls == 100 * (often + 1)
    assert 50 < rare.calls <= 100


@pytest.mark.parametrize(
    ("asked", "kept"),
    [("DBP305", "DBP305"), (["DBP305", "DBP318"], "DBP305,DBP318"), (True, "True"), (5, "5")],
)
def test_rules_that_a_statement_leaves_out(engine: sa.Engine, asked: Any, kept: str) -> None:
    capture = capture_of(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1").execution_options(dbperf_ignore=asked))
    (access,) = only(capture, "select 1").accesses
    assert (access.kind, access.loader, access.calls) == ("ignored", kept, 1)


def test_savepoints_are_few_statements(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    with engine.begin() as connection:
        for _ in range(30):
            with connection.begin_nested():
                pass
    (saved,) = [each for each in capture.observations.seen().observed if "SAVEPOINT sa" in each.sql[:13]]
    assert saved.calls == 30


def test_a_pool_of_one_connection_lends_it_twice(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    with engine.connect() as outer:
        for part in range(2):
            for number in range(5):
                outer.execute(sa.text("select :n"), {"n": 10 * part + number})
            with engine.connect() as inner:
                inner.execute(sa.text("select 0"))
    (loop,) = only(capture, "select ?").accesses
    assert (loop.kind, loop.calls) == ("loop", 10)


def test_parameters_only_when_asked_for(engine: sa.Engine) -> None:
    for asked, expected in ((False, ()), (True, ((1,), (2,)))):
        capture = capture_of(engine, capture_parameters=asked)
        with engine.connect() as connection:
            for each in (1, 2):
                connection.execute(sa.select(Author).where(Author.id == each))
        assert only(capture, "SELECT").parameters == expected
        capture.close()


def test_what_the_dialect_asks_at_first_connect_is_not_the_applications() -> None:
    engine = sa.create_engine("sqlite://")
    asked: list[str] = []
    original = type(engine.dialect).initialize

    def initialize(connection: sa.Connection) -> None:
        asked.append(connection.exec_driver_sql("select 'first connect'").scalar_one())
        original(engine.dialect, connection)

    engine.dialect.initialize = initialize  # type: ignore[method-assign]
    capture = capture_of(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    assert asked == ["first connect"]
    assert [each.sql for each in capture.observations.seen().observed] == ["select 1"]
    engine.dispose()


def test_threads(engine: sa.Engine, tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/threads.db")
    capture = capture_of(engine)

    def work() -> None:
        for each in range(200):
            with engine.connect() as connection:
                connection.execute(sa.text("select :a"), {"a": each})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = only(capture, "select ?")
    assert (seen.calls, seen.latency.count, sum(s.calls for s in seen.call_sites)) == (800, 800, 800)
    engine.dispose()


def test_more_statements_than_there_is_room_for(engine: sa.Engine) -> None:
    capture = capture_of(engine, max_statements=3)
    with engine.connect() as connection:
        for each in range(10):
            connection.exec_driver_sql(f"select {each}")
    assert len(capture.observations.seen().observed) == 3
    assert capture.observations.seen().unseen.folded_calls == 7


def test_close_restores_the_dialect_exactly(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    before = dict(vars(engine.dialect))
    capture = capture_of(engine)
    assert vars(engine.dialect) != before
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    capture.close()
    capture.close()
    assert vars(engine.dialect) == before
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    assert only(capture, "select 1").calls == 1


def test_a_wrap_put_on_before_comes_back_and_one_put_on_after_stays(engine: sa.Engine) -> None:
    attributes = vars(engine.dialect)
    calls: list[str] = []

    def named(name: str, inner: Any) -> Any:
        def do_execute(*args: Any) -> None:
            calls.append(name)
            inner(*args)

        return do_execute

    first = attributes["do_execute"] = named("first", engine.dialect.do_execute)
    capture = capture_of(engine)
    last = attributes["do_execute"] = named("last", engine.dialect.do_execute)
    capture.close()
    assert attributes["do_execute"] is last
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    assert calls == ["last", "first"]
    assert capture.observations.seen().observed == ()
    attributes["do_execute"] = named("x", first)


def test_a_failing_observer_switches_itself_off(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(slot: object) -> None:
        raise LookupError("a parameter of the application")

    monkeypatch.setattr(record, "locator", lambda *args, **kw: fails)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
        before = dict(vars(engine.dialect))
        capture = capture_of(engine)
        for each in (1, 2):
            assert connection.execute(sa.text(f"select {each}")).scalar_one() == each
    assert vars(engine.dialect) == before
    assert capture.observations.seen().unseen.observer_failures == 1
    (line,) = [record.getMessage() for record in caplog.records if record.name == "dbperf"]
    assert line.startswith(f"capture failed (LookupError at {__file__}:")
    assert "parameter" not in line


def test_listeners_results_and_options_are_untouched(engine: sa.Engine) -> None:
    heard: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: heard.append("before"))
    event.listen(engine, "after_cursor_execute", lambda *args: heard.append("after"))
    event.listen(
        engine, "handle_error", lambda context: heard.append(type(context.original_exception).__name__)
    )
    capture = capture_of(engine)
    with engine.connect().execution_options(stream_results=True) as connection:
        rows = connection.execute(sa.text("select 1 as a union select 2")).mappings().all()
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("select nothing"))
    assert [dict(row) for row in rows] == [{"a": 1}, {"a": 2}]
    assert heard == ["before", "after", "before", "OperationalError"]
    other = engine.execution_options(isolation_level="SERIALIZABLE")
    with other.connect() as connection:
        pickled = pickle.dumps(connection.execute(sa.text("select 3")).all())
    assert pickle.loads(pickled) == [(3,)]
    assert only(capture, "select 3").calls == 1
    assert repr(engine) == "Engine(sqlite://)"


def test_a_listener_that_executes_by_itself_still_may(engine: sa.Engine) -> None:
    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        cursor.execute("select 'from the listener'")
        return True

    event.listen(engine, "do_execute", do_execute)
    capture = capture_of(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select 1")).scalar_one() == "from the listener"
    assert capture.observations.seen().observed == ()


def test_engine_and_capture_go_together() -> None:
    engine = sa.create_engine("sqlite://")
    capture = capture_of(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    engine.dispose()
    gone = weakref.ref(capture), weakref.ref(engine)
    del engine, capture, connection
    gc.collect()
    assert [each() for each in gone] == [None, None]


def _in_child(capture: Capture, pipe: Pipe) -> None:
    inherited = len(capture.observations.seen().observed)
    engine = sa.create_engine("sqlite://")
    own = capture_of(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("select 'in the child'"))
    pipe.send((inherited, [each.sql for each in own.observations.seen().observed]))


def test_a_forked_child_starts_empty(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(capture, sender))
    child.start()
    sender.close()
    with receiver:
        assert receiver.recv() == (0, ["select 'in the child'"])
    child.join()
    assert child.exitcode == 0
    assert only(capture, "select 1").calls == 1


def test_async_the_awaiting_line_is_found() -> None:
    async def work() -> tuple[Capture, int]:
        engine = create_async_engine("sqlite+aiosqlite://")
        capture = capture_of(engine.sync_engine, capture_parameters=True)
        async with engine.connect() as connection:
            for each in (1, 2):
                await connection.execute(sa.text("select :a"), {"a": each})
                line = line_above()
        await engine.dispose()
        return capture, line

    capture, line = asyncio.run(work())
    seen = only(capture, "select ?")
    assert (seen.calls, seen.parameters) == (2, ((1,), (2,)))
    (site,) = seen.call_sites
    assert (site.file, site.line, site.calls) == (__file__, line, 2)
    assert site.function.endswith("work")


def test_async_run_sync_is_at_the_sync_line() -> None:
    lines = []

    def inside(connection: sa.Connection) -> None:
        connection.execute(sa.text("select 1"))
        lines.append(line_above())

    async def work() -> Capture:
        engine = create_async_engine("sqlite+aiosqlite://")
        capture = capture_of(engine.sync_engine)
        async with engine.connect() as connection:
            await connection.run_sync(inside)
        await engine.dispose()
        return capture

    (site,) = only(asyncio.run(work()), "select 1").call_sites
    assert [site.line] == lines
    assert site.function.endswith("inside")


def test_async_cancellation_is_no_error() -> None:
    started, finish = threading.Event(), threading.Event()

    def wait() -> int:
        started.set()
        finish.wait(10)
        return 1

    async def work() -> Capture:
        engine = create_async_engine("sqlite+aiosqlite://")
        capture = capture_of(engine.sync_engine)
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.create_function("wait", 0, wait)
            task = asyncio.create_task(connection.execute(sa.text("select wait()")))
            async with asyncio.timeout(10):
                await asyncio.to_thread(started.wait)
            task.cancel()
            finish.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        await engine.dispose()
        return capture

    seen = only(asyncio.run(work()), "select wait")
    assert (seen.calls, seen.errors, seen.cancellations) == (1, 0, 1)
