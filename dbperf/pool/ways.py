"""What differs between a pool of threads and a pool of coroutines: all that waits, or is done beside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from dbperf.pool import deadline, loop_deadline, watchdog
from dbperf.pool.holders import Holder, taken_by_task, taken_by_thread
from dbperf.pool.housekeeper import LOOPS, THREADS, Keeper
from dbperf.pool.waiting import Coroutine, Thread


class Within(Protocol):
    """See `deadline.within`."""

    def __call__(
        self,
        deadline: float,
        call: Callable[[], Any],
        discard: Callable[[Any], object],
        calls: deadline.Calls,
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """The parts of a pool that know what waits."""

    waiter: Callable[[float], Any]
    """One who stands in the line since then."""
    holder: Callable[[float], Holder]
    """Who takes a connection now."""
    keeper: Keeper
    within: Within
    guard: Callable[[Any, float], AbstractContextManager[Any]]


OF_THREADS = Ways(Thread, taken_by_thread, THREADS, deadline.within, watchdog.Guard)
OF_COROUTINES = Ways(Coroutine, taken_by_task, LOOPS, loop_deadline.within, loop_deadline.Guard)
