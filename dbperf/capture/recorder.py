"""Where counts go: one recorder a thread, so that the hot path needs no lock; merged when read.

`total` reads everything seen so far; `fresh`, for who writes it down as it comes, what came since.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbperf.capture.slot import Slot
from dbperf.capture.timer import Timer

if TYPE_CHECKING:
    from dbperf.capture.settled import Settled

ONE_IN = 31
"""Executions of which one is measured; or, while detail is left out, one has all of it."""
TIMERS = ("wait", "held", "raw", "connect", "ping", "begin", "commit", "rollback")


class Recorder:
    """What one thread saw: slots by statement, timers of the pool and of transactions.

    Statements there is no room for are counted in `other`, all in one. `shed` is how much detail is left out
    for now: 0 none, 1 call sites, 2 the rest too; the execution that is measured, when `left` is 0, has it
    all.
    """

    __slots__ = (
        "busy",
        "left",
        "other",
        "own_calls",
        "own_ns",
        "recent_ns",
        "shed",
        "since",
        "slots",
        "timeouts",
        "timers",
        "unlocated",
        "unsplit",
        *TIMERS,
    )

    wait: Timer
    held: Timer
    raw: Timer
    connect: Timer
    ping: Timer
    begin: Timer
    commit: Timer
    rollback: Timer

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.other = Slot("", None)
        self.timers = {name: Timer() for name in TIMERS}
        for name, timer in self.timers.items():
            setattr(self, name, timer)
        self.busy: dict[int, int] = {}
        self.timeouts = 0
        self.shed = self.since = 0
        self.left = ONE_IN
        self.unlocated = self.unsplit = self.own_ns = self.own_calls = 0
        self.recent_ns = 0.0

    def counts(self) -> Counter[str]:
        """What is counted besides statements, by name; another thread may be writing."""
        counts = Counter(
            folded_calls=self.other.calls,
            folded_ns=self.other.ns + self.other.fetch_ns,
            unlocated_calls=self.unlocated,
            unsplit_calls=self.unsplit,
            own_ns=self.own_ns,
            own_calls=self.own_calls,
            timeouts=self.timeouts,
        )
        for name, timer in self.timers.items():
            if timer.calls or timer.errors:
                counts.update(timer.counts(name))
        counts.update({f"busy.{number}": times for number, times in self.busy.copy().items()})
        return counts


class _Alive:
    """Held by a thread alone, so it goes when the thread goes, whoever started that."""

    __slots__ = ("__weakref__",)


class Recorders:
    """The recorders of one engine: `mine()` on the hot path, `total()` and `fresh()` to read.

    At most `limit` different statements are kept. `awake`: called when a thread begins to record, by that
    thread, where `fresh` is going to be called.
    """

    def __init__(self, limit: int, home: Settled, awake: Callable[[], None] | None = None) -> None:
        self._limit = limit
        self._home = home
        self._awake = awake
        self.local = _thread_local()
        self.reset()

    def reset(self) -> None:
        """Start empty; also in a forked child, where another thread may have held the lock for ever."""
        # Reentrant: a finalizer run by the garbage collector may execute SQL while this thread registers.
        self._lock = threading.RLock()
        vars(self.local).clear()  # of this thread: a forked child has no other, and who resets means its own
        self._known: set[str] = set()
        self._living: list[tuple[Callable[[], _Alive | None], Recorder]] = []
        self._retired: dict[str, Slot] = {}
        self._retired_counts: Counter[str] = Counter()
        self._counts_taken: Counter[str] = Counter()
        self._touched: deque[Slot] = deque()

    def mine(self) -> Recorder:
        """This thread's recorder."""
        try:
            recorder: Recorder = self.local.recorder
        except AttributeError:
            recorder = self._register()
        return recorder

    def new_slot(self, recorder: Recorder, key: str, sql: str) -> Slot:
        """A slot for a statement that the recorder does not have; `other` when there is no room for it."""
        if key not in self._known:
            if len(self._known) >= self._limit:
                return recorder.other
            self._known.add(key)
        slot = recorder.slots[key] = Slot(
            sql, self._home, None if self._awake is None else self._touched.append
        )
        return slot

    def _register(self) -> Recorder:
        alive, recorder = _Alive(), Recorder()
        with self._lock:
            self._retire()
            self._living.append((weakref.ref(alive), recorder))
        self.local.alive, self.local.recorder = alive, recorder
        if self._awake is not None:
            self._awake()
        return recorder

    def _retire(self) -> None:
        living = []
        for alive, recorder in self._living:
            if alive() is None:
                self._retired_counts.update(recorder.counts())
                _add(self._retired, recorder)
            else:
                living.append((alive, recorder))
        self._living = living

    def total(self) -> tuple[list[Slot], Counter[str]]:
        """Everything seen so far: a slot of its own for each statement, and what else was counted."""
        total: dict[str, Slot] = {}
        with self._lock:
            self._retire()
            for key, slot in self._retired.items():
                total[key] = Slot(slot.sql, slot.home)
                total[key].absorb(slot)
            for _, recorder in self._living:
                _add(total, recorder)
            return list(total.values()), self._counts()

    def fresh(self) -> tuple[list[Slot], Counter[str]]:
        """What came since the last call: by thread and statement, and what else was counted.

        Costs nothing for statements that were not touched, however many there are.
        """
        taken = []
        with self._lock:
            for _ in range(len(self._touched)):  # and not what busy threads add meanwhile
                slot = self._touched.popleft()
                slot.clean = True  # before it is read: who counts from now on notes it again
                taken.append(slot.take())
            counts = self._counts()
            new = Counter(
                {name: n for name, count in counts.items() if (n := count - self._counts_taken[name])}
            )
            self._counts_taken = counts
        return taken, new

    def _counts(self) -> Counter[str]:
        counts = self._retired_counts.copy()
        for _, recorder in self._living:
            counts.update(recorder.counts())
        return counts


def _add(slots: dict[str, Slot], recorder: Recorder) -> None:
    for key, seen in recorder.slots.copy().items():
        slots.setdefault(key, Slot(seen.sql, seen.home)).absorb(seen)


def _thread_local() -> Any:
    """What each thread of the operating system has its own of.

    gevent makes it each greenlet's own. Those are many and short-lived, and while one counts no other of its
    thread runs.
    """
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original("threading", "local")() if monkey else threading.local()
