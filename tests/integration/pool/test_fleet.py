"""Several processes on one server: none is told of the others, and all of them fit."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from sqlalchemy import make_url

from dbperf.embedded import Server, start

ALLOWED = 23 - 3
"""Connections that max_connections leaves to those who are no superusers."""
BUDGET = int(ALLOWED * 0.9)

# Uses all that its pool allows, until its stdin ends; for each line there, says what its share is.
PROGRAM = """
import sys, threading
import sqlalchemy as sa
from dbperf.pool import AdaptivePool, fleet
fleet.EVERY = 0.2
engine = sa.create_engine(sys.argv[1], poolclass=AdaptivePool, pool_timeout=60)
def work():
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT pg_sleep(0.02)"))
        except sa.exc.OperationalError:  # too many, before the first has heard of the others
            pass
for _ in range(20):
    threading.Thread(target=work, daemon=True).start()
for _ in sys.stdin:
    print(engine.pool._chores.share or 0, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs PROGRAM."""

    running: subprocess.Popen[str]

    def share(self) -> int:
        """How many connections it may have; 0 before it knows."""
        assert self.running.stdin
        assert self.running.stdout
        self.running.stdin.write("\n")
        self.running.stdin.flush()
        return int(self.running.stdout.readline())

    def end(self) -> None:
        """As a program ends that has nothing left to do."""
        self.running.communicate(timeout=20)

    def kill(self) -> None:
        """At once."""
        self.running.kill()
        self.running.communicate(timeout=20)


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """A server that allows few connections, to a role "app"."""
    with start(settings={"max_connections": str(ALLOWED + 3)}) as running:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute("CREATE ROLE app LOGIN")
        yield running


@pytest.fixture
def begin(small: Server) -> Iterator[Callable[[], Process]]:
    """Start a process."""
    url = make_url(small.url()).set(username="app").render_as_string(hide_password=False)
    begun: list[Process] = []

    def begin() -> Process:
        command = [sys.executable, "-c", PROGRAM, url]
        begun.append(
            Process(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        )
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()


def becomes_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def shares_become(processes: list[Process], share: int) -> None:
    """Each has heard how many there are, and they fit."""
    becomes_true(lambda: {each.share() for each in processes} == {share})
    assert sum(each.share() for each in processes) <= BUDGET


@pytest.mark.once
def test_processes_share_the_server(small: Server, begin: Callable[[], Process]) -> None:
    processes = [begin() for _ in range(4)]
    shares_become(processes, BUDGET // 4)
    with psycopg.connect(small.dsn(), autocommit=True) as connection:

        def in_use() -> int:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
            return int((connection.execute(asked).fetchone() or [0])[0])

        becomes_true(lambda: in_use() <= BUDGET)  # those that one had before it heard of the others
        processes.pop().end()
        processes.pop().kill()
        shares_become(processes, BUDGET // 2)
        assert in_use() <= BUDGET
        processes.pop().kill()
        shares_become(processes, BUDGET)
