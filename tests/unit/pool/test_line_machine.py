"""The line under any order of what may happen to it, finalizers in the middle of its methods among it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dbperf.pool import line as module
from dbperf.pool.line import PARALLEL, Line
from dbperf.pool.waiting import Thread

PICK = st.integers(0, 1_000_000)


class Clock:
    """Stands still; where it is read, a garbage collector may run, which returns a connection."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.finalizer: Any = None

    def __call__(self) -> float:
        finalizer, self.finalizer = self.finalizer, None
        if finalizer is not None:
            finalizer()
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "monotonic", CLOCK)
    yield
    CLOCK.finalizer = None


class Waiting(Thread):
    """A thread's waiter that says when it is woken."""

    machine: Machine

    def wake(self) -> None:
        super().wake()
        self.machine.woken(self)


class Place:
    """What stands for a record."""


class Machine(RuleBasedStateMachine):
    lifo: ClassVar[bool] = True
    keep: ClassVar[int | None] = None

    def __init__(self) -> None:
        super().__init__()
        CLOCK.finalizer = None
        self.line = Line(3, lifo=self.lifo, keep=self.keep)
        self.most = 3
        self.open: set[Place] = set()
        self.held: list[Place] = []
        self.borrowed: list[Place] = []
        self.granted: list[Waiting] = []
        """Those who have not yet noticed."""
        self.connecting: list[float] = []
        """When each began."""
        self.queue: deque[Waiting] = deque()
        self.refused: list[Waiting] = []
        self.in_wake = 0
        """How many connections come back in the middle of the next grants."""
        self.asked = 0

    def woken(self, waiter: Waiting) -> None:
        if waiter not in self.queue:  # granted already, in the middle of waking all
            return
        if waiter.granted:
            assert self.queue.popleft() is waiter, "somebody was overtaken"
            self.granted.append(waiter)
        elif waiter.error is not None:
            assert self.queue.popleft() is waiter
            self.refused.append(waiter)
        if self.in_wake and self.held:
            self.in_wake -= 1
            self._give(self.held.pop())

    def _give(self, place: Place) -> None:
        if not self.line.give(place):
            assert self.keep is not None
            assert len(self.line.idle) >= self.keep
            self.open.remove(place)
            self.line.drop()

    def _give_one(self) -> None:
        if self.held:
            self._give(self.held.pop(0))

    def _join(self, *, first: bool = False) -> None:
        waiter = Waiting(CLOCK.now)
        waiter.machine = self
        (self.queue.appendleft if first else self.queue.append)(waiter)
        assert self.line.join(waiter, first=first) == waiter.granted

    @rule()
    def checks_out(self) -> None:
        waited, idle = bool(self.queue), list(self.line.idle)
        record = self.line.take()
        self.asked += 1
        if record is None:
            self._join()
            return
        assert not waited, "somebody was overtaken"
        assert record is idle[-1 if self.lifo else 0]
        self.held.append(record)

    @precondition(lambda self: self.granted)
    @rule(pick=PICK)
    def notices(self, pick: int) -> None:
        waiter = self.granted.pop(pick % len(self.granted))
        if waiter.record is None:
            self.connecting.append(CLOCK.now)
        else:
            self.held.append(waiter.record)

    @precondition(lambda self: self.connecting)
    @rule()
    def connects(self) -> None:
        self.connecting.pop(0)
        place = self.line.spare.pop() if self.line.spare else Place()
        assert place not in self.open
        self.open.add(place)
        self.held.append(place)
        self.line.connected()
        assert self.line.failing is None

    @precondition(lambda self: self.connecting)
    @rule(cancelled=st.booleans())
    def fails_to_connect(self, cancelled: bool) -> None:
        began = self.connecting.pop(0)
        alone = not (self.held or self.borrowed or self.granted or self.connecting or self.line.idle)
        waiting = sum(each.since <= began for each in self.queue)
        self.refused.clear()
        self.line.failed(None if cancelled else OSError(), Place(), CLOCK.now - began)
        if alone and not cancelled:
            assert len(self.refused) == waiting
        else:
            assert not self.refused

    @precondition(lambda self: self.queue)
    @rule(pick=PICK)
    def gives_up(self, pick: int) -> None:
        waiter = self.queue[pick % len(self.queue)]
        self.queue.remove(waiter)
        self.line.leave(waiter)

    @precondition(lambda self: self.granted)
    @rule(pick=PICK)
    def gives_up_too_late(self, pick: int) -> None:
        self.line.leave(self.granted.pop(pick % len(self.granted)))

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def returns(self, pick: int) -> None:
        self._give(self.held.pop(pick % len(self.held)))

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def returns_invalid(self, pick: int) -> None:
        place = self.held.pop(pick % len(self.held))
        self.open.remove(place)
        self.line.drop(place, 0.1)

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def finds_it_dead(self, pick: int) -> None:
        place = self.held.pop(pick % len(self.held))
        self.open.remove(place)
        self.line.drop(place)
        self._join(first=True)

    @rule(limit=st.integers(1, 12))
    def resizes(self, limit: int) -> None:
        self.most = max(self.most, limit)
        self.line.resize(limit)

    @precondition(lambda self: self.line.idle)
    @rule(pick=PICK)
    def borrows(self, pick: int) -> None:
        place = self.line.idle[pick % len(self.line.idle)]
        free = self.line.busy < self.line.limit and not self.queue
        assert self.line.borrow(place) == free
        if free:
            self.borrowed.append(place)

    @precondition(lambda self: self.borrowed)
    @rule(alive=st.booleans())
    def puts_back(self, alive: bool) -> None:
        place = self.borrowed.pop()
        if alive:
            self.line.unborrow(place)
        else:
            self.open.remove(place)
            self.line.drop()

    @rule()
    def borrows_what_is_gone(self) -> None:
        assert not self.line.borrow(Place())

    @rule()
    def disposes(self) -> None:
        taken = self.line.empty()
        assert len(set(taken)) == len(taken)
        self.open -= set(taken)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.5, 2.0]))
    def time_passes(self, seconds: float) -> None:
        CLOCK.now += seconds
        self.line.serve()

    @rule(times=st.integers(1, 3))
    def collects_in_the_next_grants(self, times: int) -> None:
        self.in_wake = times

    @rule()
    def collects_where_the_time_is_read(self) -> None:
        CLOCK.finalizer = self._give_one

    @invariant()
    def permits_are_those_out(self) -> None:
        line = self.line
        opening = len(self.connecting) + sum(each.record is None for each in self.granted)
        records = [each.record for each in self.granted if each.record is not None]
        assert line.connecting == opening <= PARALLEL
        assert line.busy == opening + len(records) + len(self.held) + len(self.borrowed) <= self.most
        assert line.busy <= line.peak + len(self.borrowed)

    @invariant()
    def nothing_is_lost_or_had_twice(self) -> None:
        records = [each.record for each in self.granted if each.record is not None]
        there = [*self.line.idle, *records, *self.held, *self.borrowed]
        assert len(there) == len(self.open)
        assert set(there) == self.open
        assert not self.open & set(self.line.spare)
        assert len(set(self.line.spare)) == len(self.line.spare) <= self.most

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        line, finalizer = self.line, CLOCK.finalizer
        CLOCK.finalizer = None
        assert list(line.waiters) == list(self.queue)
        if line.waiters and line.busy < line.limit:
            assert not line.idle
            assert not line._may_connect()
        CLOCK.finalizer = finalizer

    @invariant()
    def counts_add_up(self) -> None:
        line = self.line
        assert line.arrivals == self.asked
        assert min(line.busy, line.returned, line.held, line.waited, line.queued(CLOCK.now)) >= 0
        assert not line._serving


class Fifo(Machine):
    lifo, keep = False, 2


class NoneKept(Machine):
    keep = 0


for _machine in (Machine, Fifo, NoneKept):
    _machine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)

TestLifo, TestFifo, TestNoneKept = Machine.TestCase, Fifo.TestCase, NoneKept.TestCase


def test_a_connection_that_comes_back_while_none_may_be_opened_is_handed_out() -> None:
    line = Line(2, lifo=True, keep=None)
    one, other, third = (Thread(CLOCK.now) for _ in range(3))
    assert line.join(one)
    line.connected()
    assert line.join(other)
    line.failed(OSError(), None, 0.01)  # so no connection is opened just now
    CLOCK.finalizer = lambda: line.give("a connection")
    assert line.join(third), "it would wait beside an idle connection"
    assert third.record == "a connection"


def test_those_who_wait_are_woken_when_a_connection_fails() -> None:
    """They went to sleep until their own deadline, and must know until when nobody tries."""
    line = Line(2, lifo=True, keep=None)
    holder, connecting, waiting = (Thread(CLOCK.now) for _ in range(3))
    assert line.join(holder)
    line.connected()
    assert line.join(connecting)
    assert not line.join(waiting)
    line.failed(OSError(), None, 0.01)
    assert not waiting.granted
    assert waiting._bell.acquire(blocking=False)
    assert line.retry_at > CLOCK.now
    CLOCK.now = line.retry_at
    line.serve()
    assert waiting.granted
