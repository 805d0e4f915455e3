"""The pool before pgbouncer in transaction mode: each transaction may be another server process's."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from applications import (
    DRIVERS,
    PID,
    Application,
    application,
    assert_nothing_lost,
    assert_times_out,
    assert_works_again,
    checkout,
)
from pgbouncer import INSTALLED, SIZE, Bouncer, bouncer
from sqlalchemy import Engine, exc, text

from dbperf.embedded import Server
from dbperf.pool import fleet
from dbperf.pool.options import UNKNOWN

pytestmark = pytest.mark.skipif(not INSTALLED, reason="no pgbouncer is installed")

TIMEOUT = 0.8
LATE = 1.25
Begin = Callable[..., Application]
# A statement that is prepared in one transaction is not there, or another's, in the next. None of these is
# for the pool: users need them with whatever pool.
UNPREPARED: dict[str, dict[str, Any]] = {
    "psycopg": {"prepare_threshold": None},
    "asyncpg": {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"test_{uuid4()}",
    },
}


@pytest.fixture(scope="module")
def running(server: Server) -> Iterator[Bouncer]:
    with bouncer(server) as one:
        yield one


@pytest.fixture(params=list(DRIVERS))
def begin(request: pytest.FixtureRequest, running: Bouncer) -> Iterator[Begin]:
    """Start a program with these options of its pool."""
    begun: list[Application] = []

    def begin(**options: Any) -> Application:
        options |= {"connect_args": UNPREPARED[DRIVERS[request.param]]}
        begun.append(application(request.param, running.url, **options))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture
def sized(begin: Begin) -> Application:
    """A program with a pool of three, that pings."""
    return begin(pool_size=3, max_overflow=0, pool_timeout=TIMEOUT, pool_pre_ping=True, alive_bypass=0.0)


def locks(server: Server) -> int:
    """Advisory locks that anybody holds."""
    with psycopg.connect(server.dsn()) as connection:
        found = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert found
    return int(found[0])


def ask(engine: Engine) -> None:
    """Have the pool ask the server for its share, now."""
    pool: Any = engine.pool
    pool._chores._ask_at = 0.0
    pool._chores.run()


@pytest.mark.parametrize(("given", "cap"), [({}, UNKNOWN), ({"max_size": 40}, 40)])
def test_the_cap_is_what_was_configured(begin: Begin, server: Server, given: Any, cap: int) -> None:
    app = begin(**given)
    before = locks(server)
    app.pids(2)
    for _ in range(2):
        app.do(ask)
        assert (app.pool._chores.share, app.pool.cap()) == (None, cap)
    assert locks(server) == before
    assert_nothing_lost(app, SIZE)


def test_a_driver_that_does_not_say_where_it_is_takes_no_lock(running: Bouncer, server: Server) -> None:
    before = locks(server)
    with psycopg.connect(running.url.render_as_string(), prepare_threshold=None) as connection:
        assert fleet.share(connection, object(), registered=False) is None
    assert locks(server) == before


def test_more_checkouts_than_connections_behind_it(begin: Begin) -> None:
    app = begin(max_size=3 * SIZE, pool_timeout=20)

    def work(engine: Engine) -> int:
        for _ in range(5):
            with engine.connect() as connection:
                connection.execute(text("SELECT pg_sleep(0.002)"))
        with engine.connect() as connection:
            return int(connection.execute(PID).scalar_one())

    assert len(set(app.at_once(work, 6 * SIZE))) <= SIZE
    assert app.pool.checkedout() == 0


def test_what_was_not_committed_is_rolled_back(sized: Application) -> None:
    def work(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept (a int)"))
        try:
            with engine.connect() as connection:
                connection.execute(text("INSERT INTO kept VALUES (1)"))
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO kept VALUES (2)"))
                assert connection.execute(text("SELECT a FROM kept")).scalars().all() == [2]
        finally:
            with engine.begin() as connection:
                connection.execute(text("DROP TABLE kept"))

    sized.do(work)
    assert_nothing_lost(sized, 3)


def test_an_invalidated_connection_is_replaced(sized: Application) -> None:
    def work(engine: Engine) -> None:
        with engine.connect() as connection:
            before = connection.connection.dbapi_connection
            connection.invalidate()
            assert connection.execute(text("SELECT 1")).scalar() == 1
            assert connection.connection.dbapi_connection is not before

    sized.do(work)
    assert (sized.pool.checkedout(), sized.pool.checkedin()) == (0, 1)
    assert_nothing_lost(sized, 3)


def test_a_checkout_times_out(sized: Application) -> None:
    def work(engine: Engine) -> tuple[BaseException | None, float]:
        with engine.connect(), engine.connect(), engine.connect():
            return checkout(engine)

    error, seconds = sized.do(work)
    assert isinstance(error, exc.TimeoutError)
    assert "3 of 3 are in use" in str(error)
    assert TIMEOUT * 0.9 <= seconds <= TIMEOUT * LATE
    assert_nothing_lost(sized, 3)


@pytest.mark.once
@pytest.mark.parametrize("count", [1, 6])
def test_a_pause_is_over_by_the_deadline(sized: Application, running: Bouncer, count: int) -> None:
    """It lets clients log in meanwhile, and answers nothing: new connections look fine, old ones silent."""
    sized.pids(3)
    running.command("PAUSE")
    try:
        for error, seconds in sized.at_once(checkout, count):
            assert error is None or isinstance(error, exc.TimeoutError)
            assert seconds <= TIMEOUT * LATE
    finally:
        running.command("RESUME")
    assert_works_again(sized, TIMEOUT)
    assert_nothing_lost(sized, 3)


@pytest.mark.once
def test_one_that_stands_still(sized: Application, running: Bouncer) -> None:
    sized.pids(3)
    os.kill(running.process.pid, signal.SIGSTOP)
    try:
        assert_times_out(sized, TIMEOUT, 4)
    finally:
        os.kill(running.process.pid, signal.SIGCONT)
    assert_works_again(sized, 20)
    assert_nothing_lost(sized, 3)


def test_one_that_ends_and_is_started_again(sized: Application, running: Bouncer) -> None:
    sized.pids(3)
    running.stop()
    try:
        for error, seconds in sized.at_once(checkout, 6):
            # asyncpg's is an OSError, which SQLAlchemy does not wrap.
            assert isinstance(error, exc.OperationalError | ConnectionRefusedError)
            assert seconds <= TIMEOUT * LATE
    finally:
        running.start()
    assert_works_again(sized, 20)
    assert_nothing_lost(sized, 3)


def test_a_connection_in_use_when_it_ends_is_not_kept(sized: Application, running: Bouncer) -> None:
    def work(engine: Engine) -> None:
        with engine.connect() as connection:
            connection.execute(PID)
            running.stop()
            running.start()
            with pytest.raises(exc.DBAPIError) as raised:
                connection.execute(PID)
            assert raised.value.connection_invalidated
        with engine.connect() as connection:
            assert connection.execute(PID).scalar()

    sized.do(work)
    assert_nothing_lost(sized, 3)
