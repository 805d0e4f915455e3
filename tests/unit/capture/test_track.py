"""Operations: which statements are told by which, however they are nested, shared, abandoned or cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from contextvars import copy_context

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool

from dbperf.capture import Capture, scope, settled
from dbperf.capture.track import track
from dbperf.errors import InputError
from dbperf.model.runtime import Operation, operations
from dbperf.settings import Resolved


class Watched:
    """An engine, and what was seen of it."""

    def __init__(self) -> None:
        self.engine = sa.create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        self.capture = Capture(self.engine, "here", Resolved())

    def run(self, word: str = "x") -> None:
        with self.engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT 1 AS {word}")

    @property
    def told(self) -> dict[str, Operation]:
        return {each.name: each for each in operations(self.capture.observations.seen().figures)}

    def callers(self, word: str = "x") -> dict[str, int]:
        """The operations that ran a statement, and how often."""
        observed = self.capture.observations.seen().observed
        (found,) = [each for each in observed if each.sql.endswith(f" {word}")]
        return dict(found.operations)


@pytest.fixture
def db() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.engine.dispose()
    assert scope.current.get() is None


def test_a_statement_belongs_to_the_innermost_and_times_to_all(db: Watched) -> None:
    with track("job") as job:
        db.run()
        with track("step"):
            db.run()
            db.run()
        job.marker("stepped")
        job.marker("stepped")
    db.run()
    assert db.callers() == {"step": 2, "job": 1}
    job_, step = db.told["job"], db.told["step"]
    assert (job_.calls, job_.errors, job_.statements) == (1, 0, 3)
    assert (step.calls, step.statements) == (1, 2)
    assert job_.seconds >= step.seconds > step.database_seconds > 0
    ((name, (times, at)),) = job_.markers.items()
    assert (name, times) == ("stepped", 2)
    assert step.seconds <= at <= job_.seconds


def test_two_of_one_name(db: Watched) -> None:
    with track("walk"):
        with track("walk"):
            db.run()
        db.run()
    assert db.callers() == {"walk": 2}
    assert (db.told["walk"].calls, db.told["walk"].statements) == (2, 3)  # the outer has the inner's too


def test_one_object_used_again_within_itself(db: Watched) -> None:
    walk = track("walk")

    @walk
    def down(levels: int) -> int:
        """Goes down."""
        db.run()
        return down(levels - 1) if levels else scope.current.get() is not None

    assert down(3) is True
    with walk, walk:
        db.run("y")
    assert (down.__name__, down.__doc__) == ("down", "Goes down.")
    assert db.told["walk"].calls == 6
    assert (db.callers(), db.callers("y")) == ({"walk": 4}, {"walk": 1})


def test_a_name_given_late(db: Watched) -> None:
    with track("") as op:
        db.run()
        op.name = "GET /users/{id}"
    assert db.callers() == {"GET /users/{id}": 1}


def test_an_exception_is_an_error_and_a_cancellation_is_not(db: Watched) -> None:
    for raised in (ValueError, KeyboardInterrupt):
        with pytest.raises(raised), track("job"):
            raise raised
    with pytest.raises(ValueError, match="no"), track("other"), track("job"):
        raise ValueError("no")
    assert (db.told["job"].calls, db.told["job"].errors) == (3, 2)
    assert (db.told["other"].calls, db.told["other"].errors) == (1, 1)


def test_concurrent_tasks(db: Watched) -> None:
    shared = track("task")
    inside = asyncio.Barrier(4)

    @track("called")
    async def called() -> None:
        db.run()
        await inside.wait()
        db.run()

    async def entered() -> None:
        async with shared:
            db.run()
            await inside.wait()
            await called()
            db.run("last")

    async def main() -> None:
        with track("all"):
            await asyncio.gather(*(entered() for _ in range(4)))
            db.run("last")

    asyncio.run(main())
    assert db.callers() == {"task": 4, "called": 8}
    assert db.callers("last") == {"task": 4, "all": 1}
    assert (db.told["task"].calls, db.told["task"].statements) == (4, 16)
    assert db.told["all"].statements == 17


def test_a_cancelled_task(db: Watched) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def work() -> None:
            async with track("work"):
                db.run()
                entered.set()
                await asyncio.Future()

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (db.told["work"].calls, db.told["work"].errors) == (1, 0)
    assert db.callers() == {"work": 1}


def test_the_async_engine(db: Watched) -> None:
    async def ask(connection: AsyncConnection, word: str) -> None:
        await connection.execute(sa.text(f"SELECT 1 AS {word}"))

    async def main() -> Capture:
        engine = create_async_engine("sqlite+aiosqlite://")
        capture = Capture(engine.sync_engine, "here", Resolved())
        async with engine.connect() as connection:
            with track("a"):
                await ask(connection, "x")
            await ask(connection, "x")
        await engine.dispose()
        return capture

    (seen,) = asyncio.run(main()).observations.seen().observed
    assert (seen.calls, seen.operations) == (2, (("a", 1),))


def test_what_outlives_an_operation_is_no_part_of_it(db: Watched) -> None:
    async def main() -> None:
        over = asyncio.Event()

        async def outliving() -> None:
            db.run()
            await over.wait()
            db.run()
            with track("own"):
                db.run()

        with track("job"):
            task = asyncio.create_task(outliving())
            await asyncio.sleep(0)
        over.set()
        await task

    asyncio.run(main())
    assert db.callers() == {"job": 1, "own": 1}
    assert db.told["job"].statements == 1


def test_a_generator_that_is_closed_after_what_was_around_it(db: Watched) -> None:
    def rows() -> Iterator[int]:
        with track("rows"):
            db.run()
            yield 1

    with track("job"):
        kept = rows()
        next(kept)
        db.run("within")  # a generator shares the context of who reads it
    db.run("behind")
    assert db.callers("behind") == {}
    with track("next"), closing(kept):
        db.run("next")
    assert scope.current.get() is None
    assert (db.callers(), db.callers("within"), db.callers("next")) == ({"rows": 1}, {"rows": 1}, {"next": 1})
    assert {name: each.calls for name, each in db.told.items()} == {"job": 1, "rows": 1, "next": 1}


def test_an_asynchronous_generator_finished_by_another_task(db: Watched) -> None:
    async def rows() -> AsyncIterator[int]:
        async with track("rows"):
            db.run()
            yield 1
            db.run()

    async def finish(kept: AsyncIterator[int]) -> None:
        with track("finish"):
            async for _ in kept:
                pass
            db.run("after")

    async def main() -> None:
        kept = rows()
        with track("begin"):
            await anext(kept)
        await asyncio.create_task(finish(kept))
        db.run("after")

    asyncio.run(main())
    assert db.callers() == {"rows": 1, "finish": 1}
    assert db.callers("after") == {"finish": 1}
    assert db.told["rows"].calls == 1


def test_left_in_another_context(db: Watched) -> None:
    @contextmanager
    def operation() -> Iterator[None]:
        with track("outer"), track("inner"):
            db.run()
            yield

    entered = operation()
    copy_context().run(entered.__enter__)
    with track("here"):
        entered.__exit__(None, None, None)
        db.run("after")
    assert db.callers("after") == {"here": 1}
    assert {name: (each.calls, each.statements) for name, each in db.told.items()} == {
        "outer": (1, 1),
        "inner": (1, 1),
        "here": (1, 1),
    }


def test_a_thread_with_the_context_copied(db: Watched) -> None:
    with track("job"):
        thread = threading.Thread(target=copy_context().run, args=(db.run,))
        thread.start()
        thread.join()
    assert db.callers() == {"job": 1}


def test_misuse_does_not_reach_the_application(db: Watched, caplog: pytest.LogCaptureFixture) -> None:
    track("never entered").__exit__(None, None, None)
    for name in (None, 7, "n" * 1000):
        with track(name) as op:  # type: ignore[arg-type]
            op.marker(["a list"])  # type: ignore[arg-type]
            db.run()
    op.marker("late")
    with track("broken") as op:
        op.markers = None  # type: ignore[assignment]
    with track("fine"):
        pass
    assert set(db.told) == {"None", "7", "n" * 200, "broken", "fine"}
    assert db.told["7"].markers.keys() == {"['a list']"}
    assert "could not be told (AttributeError)" in caplog.text


def test_what_cannot_be_decorated(db: Watched) -> None:
    def rows() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    for function in (rows, later):
        with pytest.raises(InputError, match=r"cannot decorate .*, a generator"):
            track("rows")(function)
    with pytest.raises(InputError, match="takes a name"):
        track(rows)  # type: ignore[arg-type]


def test_names_and_markers_are_bounded(db: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "_NAMES_KEPT", 3)
    monkeypatch.setattr(settled, "_MARKERS_KEPT", 2)
    for number in range(9):
        with track(f"user {number}"):
            db.run()
    with track("user 0") as op:
        for number in range(5):
            op.marker(str(number))
    assert {name: each.calls for name, each in db.told.items()} == {
        "user 0": 2,
        "user 1": 1,
        "user 2": 1,
        "other": 6,
    }
    assert db.callers() == {"other": 6, "user 0": 1, "user 1": 1, "user 2": 1}
    assert {name: times for name, (times, _) in db.told["user 0"].markers.items()} == {
        "0": 1,
        "1": 1,
        "other": 3,
    }


def test_one_without_statements_is_told_at_the_newest_engine_that_lives(db: Watched) -> None:
    newer = Watched()
    with track("empty"):
        pass
    assert (list(db.told), list(newer.told)) == ([], ["empty"])
    newer.capture.close()
    with track("empty"):
        pass
    assert list(db.told) == ["empty"]
    assert newer.told["empty"].calls == 1
