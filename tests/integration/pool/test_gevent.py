"""The pool under gevent, which has patched what threads wait with: greenlets instead of threads."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy

from dbperf.embedded import Server

pytestmark = pytest.mark.once
TIMEOUT = 1.0
LATE = 1.25

# A program tells its parent in lines of JSON what it wants, and last what it saw; it waits until it is heard.
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import json, logging, random, sys, time
from collections import Counter
import gevent
from sqlalchemy import create_engine, exc, text
from dbperf.pool import AdaptivePool

TIMEOUT, SIZE = 1.0, 5

def engine(timeout, **options):
    sizes = {"pool_size": SIZE, "max_overflow": 0, "pool_timeout": timeout}
    return create_engine(sys.argv[1], poolclass=AdaptivePool, **sizes, **options)

def together(count, work, *arguments):
    begun = [gevent.spawn(work, number, *arguments) for number in range(count)]
    gevent.joinall(begun, raise_error=True)
    return [each.value for each in begun]

def checkout(_, engine):
    begin = time.monotonic()
    try:
        engine.connect().close()
    except Exception as error:
        return type(error).__name__, time.monotonic() - begin
    return "", time.monotonic() - begin

def pids(engine):
    held = [engine.connect() for _ in range(SIZE)]
    found = {each.execute(text("SELECT pg_backend_pid()")).scalar_one() for each in held}
    for each in held:
        each.close()
    return len(found)

def lost(engine):
    line = engine.pool._line
    return [line.busy, line.connecting, len(line.waiters), len(engine.pool._out)]

def parent(word):
    print(json.dumps(word), flush=True)
    sys.stdin.readline()
"""
PROGRAMS = {
    "fair": """
one, served, uses = engine(60), [], Counter()
def stand_in_line(number):
    with one.connect():
        served.append(number)
held = [one.connect() for _ in range(SIZE)]
begun = []
for number in range(64):
    begun.append(gevent.spawn(stand_in_line, number))
    while len(one.pool._line.waiters) <= number:
        gevent.sleep(0)
for each in held:
    each.close()
gevent.joinall(begun, raise_error=True)
until = time.monotonic() + 1
def use(number):
    while time.monotonic() < until:
        with one.connect() as connection:
            connection.execute(text("SELECT pg_sleep(0.002)"))
        uses[number] += 1
together(64, use)
parent({"served": served, "least": min(uses.values()), "most": max(uses.values()), "lost": lost(one)})
""",
    "time out": """
one = engine(TIMEOUT / 4)
held = [one.connect() for _ in range(SIZE)]
failed = together(64, checkout, one)
for each in held:
    each.close()
works = together(64, checkout, one)
parent({"failed": failed, "works": works, "lost": lost(one)})
""",
    "killed": """
logging.disable()  # psycopg tells of what it could not roll back
def use(one):
    try:
        while True:
            with one.connect() as connection:
                connection.execute(text("SELECT pg_sleep(0.001)"))
    except exc.ProgrammingError:  # what SQLAlchemy's ping makes of the end of its greenlet
        pass
left = []
for kills in (0, *(50,) * 5):  # first all of them while the pool's own thread is being started
    one = engine(60, pool_pre_ping=True, alive_bypass=0.0)
    begun = [gevent.spawn(use, one) for _ in range(12)]
    gevent.sleep(0)
    for _ in range(kills):
        gevent.sleep(random.choice((0, 0, 0.001, 0.005)))
        begun.pop(random.randrange(12)).kill(block=False)
        begun.append(gevent.spawn(use, one))
    gevent.killall(begun)
    left += lost(one)
    one.dispose()
parent({"lost": left})
""",
    "dark": """
one = engine(TIMEOUT, pool_pre_ping=True, alive_bypass=0.0)
pids(one)
beats = []
def beat():
    while True:
        begin = time.monotonic()
        gevent.sleep(0.01)
        beats.append(time.monotonic() - begin)
heart = gevent.spawn(beat)
parent("go dark")
idle = together(64, checkout, one)
one.dispose()
new = together(64, checkout, one)
stopped = max(beats)
heart.kill()
parent("come back")
while checkout(0, one)[0]:
    pass
parent({"idle": idle, "new": new, "pids": pids(one), "lost": lost(one), "stopped": stopped})
""",
}


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(Path(server.host) / f".s.PGSQL.{server.port}") as running:
        yield running


def run(program: str, proxy: Proxy) -> Any:
    """What the program says at its end; the network does what it asks for meanwhile."""
    url = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres"
    command = [sys.executable, "-c", PROGRAM + PROGRAMS[program], url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin
        assert running.stdout
        patience = threading.Timer(60, running.kill)
        patience.start()
        told: Any = None
        for line in running.stdout:
            told = json.loads(line)
            if told == "go dark":
                proxy.blackhole()
            elif told == "come back":
                proxy.pass_through()
            running.stdin.write("\n")
            running.stdin.flush()
        _, complaints = running.communicate()
        patience.cancel()
        assert (running.returncode, complaints) == (0, "")
    return told


def assert_timed_out(failed: list[tuple[str, float]], timeout: float) -> None:
    for error, seconds in failed:
        assert error == "TimeoutError"
        assert timeout / 2 <= seconds <= timeout * LATE


def test_greenlets_are_served_in_turn(proxy: Proxy) -> None:
    told = run("fair", proxy)
    assert told["served"] == list(range(64))
    assert told["least"] >= 0.5 * told["most"] > 0
    assert not any(told["lost"])


def test_greenlets_time_out_and_nobody_is_lost(proxy: Proxy) -> None:
    told = run("time out", proxy)
    assert_timed_out(told["failed"], TIMEOUT / 4)
    assert not any(error for error, _ in told["works"])
    assert not any(told["lost"])


def test_greenlets_that_are_killed_leak_nothing(proxy: Proxy) -> None:
    told = run("killed", proxy)
    assert not any(told["lost"])


def test_greenlets_give_up_in_the_dark(proxy: Proxy) -> None:
    told = run("dark", proxy)
    assert_timed_out(told["idle"], TIMEOUT)
    assert_timed_out(told["new"], TIMEOUT)
    assert told["stopped"] < TIMEOUT / 2  # the other greenlets went on
    assert told["pids"] == 5
    assert not any(told["lost"])
