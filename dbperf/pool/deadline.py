"""Deadlines, in seconds of time.monotonic(), that hold also while a driver is blocked."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")
MOST_ABANDONED = 32
BEYOND = 5.0
"""Seconds between two that are tried beyond that."""


class DeadlineExceeded(Exception):  # noqa: N818  the pool's own; it raises SQLAlchemy's TimeoutError for it
    """A call was not over by its deadline, or too many such calls are still under way."""


class _Call(Generic[T]):
    def __init__(self, call: Callable[[], T], discard: Callable[[T], object], calls: Calls) -> None:
        self.call, self.discard, self.calls = call, discard, calls
        self.lock, self.done = threading.Lock(), threading.Event()
        self.abandoned = False
        self.result: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result.append(self.call())
        except BaseException as error:  # noqa: BLE001  raised again in the caller
            self.error = error
        with self.lock:
            self.done.set()
            late = self.abandoned
        try:
            if late and self.result:
                self.discard(self.result.pop())
        except Exception:  # noqa: BLE001, S110  nobody is left to tell
            pass
        finally:
            self.calls.over(self)

    def abandon(self) -> bool:
        """Leave it to its thread; False where it is done."""
        with self.lock:
            if not self.done.is_set():
                self.abandoned = True
            return self.abandoned


_all: WeakSet[Calls] = WeakSet()


class Calls:
    """Those of one pool under way, abandoned or not: one dead server must not use up another's."""

    def __init__(self) -> None:
        self.forked()
        _all.add(self)

    def forked(self) -> None:
        """A child has none of the threads."""
        self.beyond_at = 0.0
        self.lock = threading.RLock()  # a garbage collector's finalizer may want a connection in the middle
        self.under_way: set[_Call[Any]] = set()

    def begin(self, call: _Call[Any]) -> None:
        """Raises DeadlineExceeded where this might become one too many.

        While none is abandoned any number may be under way: the network works. Beyond the bound one may try
        now and then: those given up take minutes to end, and the server may be somewhere else by now.
        """
        with self.lock:
            if len(self.under_way) >= MOST_ABANDONED and any(each.abandoned for each in self.under_way):
                if monotonic() < self.beyond_at:
                    raise DeadlineExceeded(f"{MOST_ABANDONED} connects are under way, some of them given up")
                self.beyond_at = monotonic() + BEYOND
            self.under_way.add(call)

    def over(self, call: _Call[Any]) -> None:
        with self.lock:
            self.under_way.discard(call)


def within(deadline: float, call: Callable[[], T], discard: Callable[[T], object], calls: Calls) -> T:
    """Call in a daemon thread, in a copy of this context; what arrives late goes to `discard` there. Where no
    thread can be started, call here, and without a deadline.

    Raises what `call` does, and DeadlineExceeded at the deadline or while 32 calls are under way of which
    one is late.
    """
    work = _Call(call, discard, calls)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work.run,), name="dbperf-connect", daemon=True)
    calls.begin(work)
    try:
        thread.start()
    except RuntimeError:  # no more threads may be started: the interpreter ends, and hooks write what is left
        calls.over(work)
        return call()
    except BaseException:
        _give_up(work)
        raise
    try:
        if not work.done.wait(max(0.0, deadline - monotonic())) and work.abandon():
            raise DeadlineExceeded("not connected by the deadline")
        if work.error is not None:
            raise work.error
        return work.result.pop()
    except BaseException:  # KeyboardInterrupt, at whatever line: what was opened must not be lost
        _give_up(work)
        raise


def _give_up(work: _Call[Any]) -> None:
    if not work.abandon() and work.result:
        work.discard(work.result.pop())


def _in_child() -> None:
    for each in list(_all):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
