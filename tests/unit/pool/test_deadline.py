from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar
from math import inf
from time import monotonic

import pytest

from dbperf.pool.deadline import MOST_ABANDONED, Calls, DeadlineExceeded, within

SOON = 0.05


@pytest.fixture
def calls() -> Calls:
    return Calls()


class Stuck:
    """Calls that go on until told; what is discarded."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.discarded: list[object] = []
        self.gone = threading.Semaphore(0)

    def __call__(self) -> str:
        self.go.wait()
        return "late"

    def discard(self, what: object) -> None:
        self.discarded.append(what)
        self.gone.release()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    made = Stuck()
    yield made
    made.go.set()


def ended(calls: Calls) -> None:
    for each in threading.enumerate():
        if each.name == "dbperf-connect":
            each.join(10)
    assert not calls.under_way


def test_returns_and_raises_what_the_call_does(calls: Calls) -> None:
    asked: ContextVar[str] = ContextVar("asked")
    asked.set("here")
    assert within(monotonic() + 5, asked.get, print, calls) == "here"
    with pytest.raises(ZeroDivisionError):
        within(monotonic() + 5, lambda: 1 / 0, print, calls)
    ended(calls)


def test_what_is_late_is_discarded(stuck: Stuck, calls: Calls) -> None:
    begin = monotonic()
    with pytest.raises(DeadlineExceeded, match="not connected"):
        within(begin + SOON, stuck, stuck.discard, calls)
    assert SOON <= monotonic() - begin < 1.0
    assert (len(calls.under_way), stuck.discarded) == (1, [])
    stuck.go.set()
    assert stuck.gone.acquire(timeout=10)
    ended(calls)
    assert stuck.discarded == ["late"]


def test_there_is_an_end_to_what_is_given_up(stuck: Stuck, calls: Calls) -> None:
    for _ in range(MOST_ABANDONED):
        with pytest.raises(DeadlineExceeded, match="not connected"):
            within(monotonic(), stuck, stuck.discard, calls)
    assert within(monotonic() + 5, lambda: "of another pool", print, Calls()) == "of another pool"
    assert within(monotonic() + 5, lambda: "now and then", print, calls) == "now and then"
    with pytest.raises(DeadlineExceeded, match="32 connects"):
        within(monotonic() + 5, stuck, stuck.discard, calls)
    stuck.go.set()
    ended(calls)
    assert within(monotonic() + 5, lambda: "works", print, calls) == "works"
    assert len(stuck.discarded) == MOST_ABANDONED


def test_those_under_way_count_once_one_is_late(stuck: Stuck, calls: Calls) -> None:
    """They may be late soon, too, and then there would be more than may be."""
    begun = threading.Semaphore(0)

    def call() -> str:
        begun.release()
        return stuck()

    waiting = [
        threading.Thread(target=within, args=(monotonic() + 60, call, stuck.discard, calls))
        for _ in range(MOST_ABANDONED + 1)  # while the network works there may be any number
    ]
    for each in waiting:
        each.start()
    for _ in waiting:
        assert begun.acquire(timeout=10)
    assert within(monotonic() + 5, lambda: "works", print, calls) == "works"
    calls.beyond_at = inf
    one = next(iter(calls.under_way))
    assert one.abandon()
    with pytest.raises(DeadlineExceeded, match="32 connects"):
        within(monotonic() + 5, stuck, stuck.discard, calls)
    one.abandoned = False  # its caller waits still
    stuck.go.set()
    for each in waiting:
        each.join(10)
    ended(calls)


@pytest.mark.parametrize("arrived", [True, False])
def test_an_interrupt_while_the_thread_starts_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, stuck: Stuck, calls: Calls, arrived: bool
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if arrived:
            stuck.go.set()
            thread.join(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        within(inf, stuck, stuck.discard, calls)
    stuck.go.set()
    assert stuck.gone.acquire(timeout=10)
    ended(calls)
    assert stuck.discarded == ["late"]


def test_an_interrupt_after_it_arrived_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, stuck: Stuck, calls: Calls
) -> None:
    wait = threading.Event.wait

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        taken = wait(event, timeout)
        if timeout is not None and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return taken

    stuck.go.set()
    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        within(monotonic() + 5, stuck, stuck.discard, calls)
    monkeypatch.undo()
    assert stuck.discarded == ["late"]


def test_where_no_thread_can_be_started_it_is_called_here(
    monkeypatch: pytest.MonkeyPatch, calls: Calls
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    here = within(monotonic() + 5, threading.get_ident, print, calls)
    assert here == threading.get_ident()
    assert not calls.under_way
