"""Deadlines, in seconds of time.monotonic(), that hold also while a driver is blocked."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_ABANDONED = 32


class DeadlineExceeded(Exception):  # noqa: N818  the pool's own; it raises SQLAlchemy's TimeoutError for it
    """A call was not over by its deadline, or too many such calls are still under way."""


class _Call(Generic[T]):
    def __init__(self, call: Callable[[], T], discard: Callable[[T], object]) -> None:
        self.call, self.discard = call, discard
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
        if late:
            try:
                if self.result:
                    self.discard(self.result.pop())
            except Exception:  # noqa: BLE001, S110  nobody is left to tell
                pass
            finally:
                _abandoned.discard(self)


_abandoned: set[_Call[object]] = set()


def _abandon(work: _Call[T]) -> bool:
    with work.lock:
        if work.done.is_set():
            return False
        work.abandoned = True
        _abandoned.add(work)  # type: ignore[arg-type]
    return True


def within(deadline: float, call: Callable[[], T], discard: Callable[[T], object]) -> T:
    """Call in a daemon thread, in a copy of this context; what arrives late goes to `discard` there.

    Raises what `call` does, and DeadlineExceeded at the deadline or while 32 late calls are under way.
    """
    if len(_abandoned) >= MOST_ABANDONED:
        raise DeadlineExceeded(f"{MOST_ABANDONED} connects that were given up are still under way")
    work = _Call(call, discard)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work.run,), name="dbperf-connect", daemon=True).start()
    taken = False
    try:
        taken = work.done.wait(max(0.0, deadline - monotonic()))
    except BaseException:  # KeyboardInterrupt
        if not _abandon(work) and work.result:
            discard(work.result.pop())
        raise
    if not taken and _abandon(work):
        raise DeadlineExceeded("not connected by the deadline")
    if work.error is not None:
        raise work.error
    return work.result.pop()


if hasattr(os, "register_at_fork"):  # a child has none of the threads
    os.register_at_fork(after_in_child=_abandoned.clear)
