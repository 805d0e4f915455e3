"""The server goes away, or the user has had enough, in the middle of an analysis."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

Watcher = psycopg.Connection[tuple[int]]

# An index on `owner` serves it, as far as the planner can see, and it takes minutes.
SLOW = """
SELECT id, (SELECT count(*) FROM (SELECT generate_series(1, (SELECT 2000000000))) s)
FROM item WHERE owner = 7;
"""

OURS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'dbperf' AND datname = current_database()
"""
WAITING = OURS.replace("count(*)", "pid") + "AND wait_event_type = 'Lock'"
EXECUTING = OURS.replace("count(*)", "pid") + "AND state = 'active' AND query LIKE 'SELECT id, (%'"

# The lock that makes dbperf wait, and how to see that it has got there.
WHERE = {
    "reading the catalog": ("LOCK TABLE item IN ACCESS EXCLUSIVE MODE", WAITING),
    "trying an index": ("LOCK TABLE item IN ROW EXCLUSIVE MODE", WAITING),
    "executing": ("SELECT 1", EXECUTING),
}


def until(connection: Watcher, query: str, found: Callable[[object], bool]) -> int:
    """The first value of a query, as soon as it is what is waited for."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        row = connection.execute(query.encode()).fetchone()
        if found(row):
            assert row
            return row[0]
        time.sleep(0.01)
    raise AssertionError(f"still not so: {query}")


@pytest.fixture
def watcher(own_db: str) -> Iterator[Watcher]:
    with psycopg.connect(own_db, autocommit=True) as connection:
        yield connection


def begin(dbperf: CommandLine, db: str, when: str) -> int:
    dbperf.write("q.sql", SLOW)
    options = ("--verify",) if when == "executing" else ()
    return dbperf.start("analyze", "--db", db, "--sql", "q.sql", "--environment", "disposable", *options)


@pytest.mark.parametrize("when", WHERE)
def test_the_server_goes_away(dbperf: CommandLine, own_db: str, watcher: Watcher, when: str) -> None:
    lock, seen = WHERE[when]
    with psycopg.connect(own_db) as other:
        other.execute(lock.encode())
        begin(dbperf, own_db, when)
        watcher.execute("SELECT pg_terminate_backend(%s)", [until(watcher, seen, bool)])
        done = dbperf.finish()
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "server closed the connection" in line or "terminating connection" in line


@pytest.mark.parametrize("when", WHERE)
def test_ctrl_c_leaves_nothing_on_the_server(
    dbperf: CommandLine, own_db: str, watcher: Watcher, when: str
) -> None:
    lock, seen = WHERE[when]
    with psycopg.connect(own_db) as other:
        other.execute(lock.encode())
        process = begin(dbperf, own_db, when)
        until(watcher, seen, bool)
        os.kill(process, signal.SIGINT)
        done = dbperf.finish()
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")
    until(watcher, OURS, lambda row: row == (0,))
    assert watcher.execute("SELECT count(*) FROM pg_index WHERE indrelid = 'item'::regclass").fetchone() == (
        1,
    )
