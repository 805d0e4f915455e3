"""Where counts go: one recorder a thread, so that the hot path needs no lock; merged when read.

`total` reads everything seen so far; `fresh`, for who writes it down as it comes, what came since.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from dbperf.capture.callsite import Spot
from dbperf.capture.parameters import together
from dbperf.model.histogram import bucket_of

_SITES_KEPT = 64
_COUNTS = ("calls", "parameter_sets", "rows", "errors", "cancellations", "execute_ns")
_counts = attrgetter(*_COUNTS)
_Key = TypeVar("_Key", bound=Hashable)


class _Taken(NamedTuple):
    """What of a slot was handed over already."""

    counts: tuple[int, ...] = (0,) * len(_COUNTS)
    latency: dict[int, int] = {}  # noqa: RUF012  nobody writes into these
    sites: dict[tuple[int, int], int] = {}  # noqa: RUF012
    samples: list[Any] = []  # noqa: RUF012


_NOTHING = _Taken()


class Slot:
    """What one thread saw of one SQL string. Times are nanoseconds, `latency` counts by histogram bucket.

    `sites` is keyed by the identity of the code object and the offset in it: hashing a code object hashes
    its constants and bytecode each time. The value holds the code, which keeps the identity its own.
    A `clean` slot is to be noted as touched when something was counted in it.
    """

    __slots__ = (
        "calls",
        "cancellations",
        "clean",
        "errors",
        "execute_ns",
        "latency",
        "parameter_sets",
        "rows",
        "samples",
        "sites",
        "taken",
    )

    def __init__(self, *, clean: bool = False) -> None:
        self.clean = clean
        self.taken = _NOTHING
        self.calls = self.parameter_sets = self.rows = 0
        self.errors = self.cancellations = self.execute_ns = 0
        self.latency: dict[int, int] = {}
        self.sites: dict[tuple[int, int], list[Any]] = {}
        self.samples: list[Any] = []

    def executed(self, nanoseconds: int, parameter_sets: int) -> None:
        """Count an execution, however it ended."""
        self.calls += 1
        self.parameter_sets += parameter_sets
        self.execute_ns += nanoseconds
        bucket = bucket_of(nanoseconds)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1

    def at(self, spot: Spot, calls: int = 1) -> None:
        """Count executions from a spot; a statement run from very many keeps the first 64."""
        key = (id(spot[0]), spot[1])
        if (site := self.sites.get(key)) is not None:
            site[1] += calls
        elif len(self.sites) < _SITES_KEPT:
            self.sites[key] = [spot, calls]

    def add(self, other: Slot) -> None:
        """Add what another thread, which may still be writing, saw of the same SQL string."""
        self.samples = together(self.samples, self.calls, other.samples.copy(), other.calls)
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for bucket, count in other.latency.copy().items():
            self.latency[bucket] = self.latency.get(bucket, 0) + count
        for spot, calls in other.sites.copy().values():
            self.at(spot, calls)

    def take(self) -> Slot:
        """What came since the last call. Another thread may be writing: what is missed comes next time."""
        before, sites = self.taken, self.sites.copy()
        calls = {key: site[1] for key, site in sites.items()}
        self.taken = now = _Taken(_counts(self), self.latency.copy(), calls, self.samples.copy())
        fresh = Slot()
        for name, count, known in zip(_COUNTS, now.counts, before.counts, strict=True):
            setattr(fresh, name, count - known)
        fresh.latency = _more(now.latency, before.latency)
        fresh.sites = {key: [sites[key][0], more] for key, more in _more(calls, before.sites).items()}
        given = {id(each) for each in before.samples}  # which `before` keeps alive, so an id is theirs alone
        fresh.samples = [each for each in now.samples if id(each) not in given]
        return fresh


def _more(now: dict[_Key, int], before: dict[_Key, int]) -> dict[_Key, int]:
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0))}


class Recorder:
    """Slots by SQL string, at most `limit`; executions of further SQL strings are counted in `folded`."""

    __slots__ = ("folded", "limit", "slots", "tracked")

    def __init__(self, limit: int, *, tracked: bool = False) -> None:
        self.slots: dict[str, Slot] = {}
        self.limit = limit
        self.tracked = tracked
        self.folded = 0

    def slot(self, sql: str, calls: int = 1) -> Slot | None:
        """The slot of an SQL string; None, and `calls` counted as folded, when there is no room for it."""
        slot = self.slots.get(sql)
        if slot is None:
            if len(self.slots) >= self.limit:
                self.folded += calls
                return None
            slot = self.slots[sql] = Slot(clean=self.tracked)
        return slot

    def add(self, other: Recorder) -> None:
        """Add another recorder, whose thread may still be writing."""
        self.folded += other.folded
        for sql, seen in other.slots.copy().items():
            if slot := self.slot(sql, seen.calls):
                slot.add(seen)


class _Alive:
    """Held by a thread alone, so it goes when the thread goes, whoever started that."""

    __slots__ = ("__weakref__",)


class Recorders:
    """The recorders of one engine: `mine()` on the hot path, `total()` and `fresh()` to read.

    `awake`: called when a thread begins to record, by that thread, where `fresh` is going to be called.
    """

    def __init__(self, limit: int, awake: Callable[[], None] | None = None) -> None:
        self._limit = limit
        self._awake = awake
        self.reset()

    def reset(self) -> None:
        """Start empty; also in a forked child, where another thread may have held the lock for ever."""
        # Reentrant: a finalizer run by the garbage collector may execute SQL while this thread registers.
        self._lock = threading.RLock()
        self._local = threading.local()
        self._living: list[tuple[Callable[[], _Alive | None], Recorder]] = []
        self._retired = Recorder(self._limit)
        self._touched: deque[tuple[str, Slot]] = deque()
        self._folded_by_retired = self._folded_taken = 0

    def mine(self) -> Recorder:
        """This thread's recorder."""
        try:
            recorder: Recorder = self._local.recorder
        except AttributeError:
            recorder = self._register()
        return recorder

    def touched(self, sql: str, slot: Slot) -> None:
        """Note that something was counted in a clean slot, after it was counted."""
        slot.clean = False
        self._touched.append((sql, slot))

    def _register(self) -> Recorder:
        alive, recorder = _Alive(), Recorder(self._limit, tracked=self._awake is not None)
        with self._lock:
            self._retire()
            self._living.append((weakref.ref(alive), recorder))
        self._local.alive, self._local.recorder = alive, recorder
        if self._awake is not None:
            self._awake()
        return recorder

    def _retire(self) -> None:
        living = []
        for alive, recorder in self._living:
            if alive() is None:
                self._folded_by_retired += recorder.folded
                self._retired.add(recorder)
            else:
                living.append((alive, recorder))
        self._living = living

    def total(self) -> Recorder:
        """Everything seen so far, in a recorder of its own with room for all."""
        with self._lock:
            self._retire()
            total = Recorder(self._limit * (1 + len(self._living)))
            for recorder in (self._retired, *(recorder for _, recorder in self._living)):
                total.add(recorder)
        return total

    def fresh(self) -> tuple[list[tuple[str, Slot]], int]:
        """What came since the last call, by thread and SQL string, and the executions not kept by string.

        Costs nothing for what was not touched, however many threads and statements there are.
        """
        taken = []
        with self._lock:
            for _ in range(len(self._touched)):  # and not what busy threads add meanwhile
                sql, slot = self._touched.popleft()
                slot.clean = True  # before it is read: who counts from now on notes it again
                taken.append((sql, slot.take()))
            folded = self._folded_by_retired + sum(recorder.folded for _, recorder in self._living)
            new, self._folded_taken = folded - self._folded_taken, folded
        return taken, new
