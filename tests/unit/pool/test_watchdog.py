from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from math import inf
from time import monotonic
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from dbperf.pool import watchdog
from dbperf.pool.watchdog import Guard

SOON = 0.05


class Wire:
    """A connection like psycopg's, and who reads from it."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.settimeout(10)
        self.connection: Any = SimpleNamespace(pgconn=SimpleNamespace(socket=self.ours.fileno()))

    def is_up(self) -> bool:
        self.theirs.send(b"x")
        return self.ours.recv(1) == b"x"

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exception: object) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made


@pytest.mark.parametrize("after", [0.0, SOON])
def test_interrupts_at_the_deadline(wire: Wire, after: float) -> None:
    begin = monotonic()
    with Guard(wire.connection, begin + after) as guard:
        assert wire.ours.recv(1) == b""
    assert guard.fired
    assert after <= monotonic() - begin < 1.0


def test_the_sooner_deadline_comes_first(wire: Wire) -> None:
    with (
        Wire() as other,
        Guard(other.connection, monotonic() + 60),
        Guard(wire.connection, monotonic() + SOON),
    ):
        begin = monotonic()
        assert wire.ours.recv(1) == b""
        assert monotonic() - begin < 1.0
        assert other.is_up()


def test_nothing_is_interrupted_after_the_block(wire: Wire) -> None:
    """Whoever wins, `fired` tells the truth."""
    fired = 0
    for _ in range(300):
        with Wire() as one:
            with Guard(one.connection, monotonic() + 0.0002) as guard:
                pass
            if guard.fired:
                fired += 1
                assert one.ours.recv(1) == b""
            else:
                assert one.is_up()
    with Wire() as one, Guard(one.connection, monotonic() + SOON) as guard:  # it still watches
        assert one.ours.recv(1) == b""
    assert guard.fired


def test_what_is_over_is_forgotten(wire: Wire) -> None:
    for _ in range(1000):
        with Guard(wire.connection, monotonic() + 30):
            pass
    assert not watchdog._watchdog.guards
    assert wire.is_up()


def test_without_a_deadline_nobody_watches(wire: Wire) -> None:
    with Guard(wire.connection, inf):
        assert not watchdog._watchdog.guards


def test_many_threads(wire: Wire) -> None:
    done: list[bool] = []

    def ping() -> None:
        for number in range(20):
            with (
                Wire() as one,
                Guard(one.connection, monotonic() + (0.01 if number % 4 == 0 else 30)) as guard,
            ):
                up = number % 4 != 0 or one.ours.recv(1) != b""
            done.append(up is not guard.fired)

    threads = [threading.Thread(target=ping) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert done == [True] * 160


def test_a_finalizer_may_enter_in_the_middle_of_another(wire: Wire) -> None:
    """The collector may run at any line of a guard's own."""
    entered = 0

    def at_each_line(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal entered
        if frame.f_code.co_filename != watchdog.__file__:
            return None
        with Guard(wire.connection, monotonic() + 30):  # no trace within a trace
            entered += 1
        return at_each_line

    def run() -> None:
        sys.settrace(at_each_line)
        try:
            with Guard(wire.connection, monotonic() + 30):
                pass
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert entered >= 10
    assert not watchdog._watchdog.guards
