"""What is looked at each tick: how much the pool may grow, who keeps connections too long."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from time import monotonic, process_time

from dbperf.pool.contract import Decision, Observation
from dbperf.pool.controller import decide
from dbperf.pool.drivers import Activity, activity
from dbperf.pool.holders import Holder, described, site, written
from dbperf.pool.line import Line, Record
from dbperf.pool.metrics import Metrics
from dbperf.pool.signals import State

LOG = logging.getLogger("dbperf.pool")
_KEPT = 256
"""Changes of the limit that are remembered."""
_USED_UP = 0.85
"""Share of one processor from which on the program has no time left: one thread runs at once."""
_BLOCKED = 0.1
"""Seconds that a look comes late where something else than work keeps the program from looking. Less may be
the machine's other programs, or many connections that answer together.
"""

Held = list[tuple[Record, Holder, Activity]]
"""The connections in use, who has each, and what it does."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the limit; `at` is of time.monotonic()."""

    at: float
    before: int
    after: int
    kind: str
    reason: str


class Control:
    """The controller's eyes and hands in one pool. `adaptive`: off, the limit is the cap."""

    def __init__(self, line: Line, metrics: Metrics, cap: Callable[[], int], *, adaptive: bool) -> None:
        self._line, self._metrics, self._cap, self._adaptive = line, metrics, cap, adaptive
        self._state = State()
        self._at, self._cpu = monotonic(), process_time()
        self._before = (0, 0, 0.0, 0.0, 0.0)
        self.changes: deque[Change] = deque(maxlen=_KEPT)

    @property
    def stalled(self) -> bool:
        """Whether nothing comes back at present."""
        return self._state.stalled > 0

    def begin(self) -> None:
        """Observe from now on: the time in which nobody used the pool says nothing."""
        self._observe([], 0.0)

    def look(self, held: Held, lag: float) -> Observation:
        """Observe, and set the limit that the controller decides on."""
        seen = self._observe(held, lag)
        self._count(seen)
        if self._adaptive:
            self._state, decision = decide(self._state, seen)
        else:
            decision = Decision(seen.cap, "as many as there may be", "cap")
        if decision.kind == "stall":
            self._metrics.pool["stalled_ms"] += round(seen.seconds * 1000)
        if decision.limit != seen.limit:
            self._change(seen.limit, decision)
        return seen

    def _observe(self, held: Held, lag: float) -> Observation:
        line, now = self._line, monotonic()
        with line.lock:
            peak, line.peak = line.peak, line.busy
            in_use = line.held + sum(now - since for _, (since, _, _), _ in held)
            after = (line.arrivals, line.returned, line.held, in_use, line.queued(now))
            limit, waiting = line.limit, len(line.waiters)
        arrivals, returned, ended, busy, queued = (
            new - old for new, old in zip(after, self._before, strict=True)
        )
        seconds = max(now - self._at, 1e-3)
        cpu = process_time()
        used = (cpu - self._cpu) / seconds
        self._at, self._before, self._cpu = now, after, cpu
        doing = [what for _, _, what in held]
        executing = [now - since for _, (since, _, _), what in held if what == "executing"]
        return Observation(
            seconds=seconds,
            limit=limit,
            cap=self._cap(),
            busy=max(busy, 0.0) / seconds,
            peak=peak,
            waiting=waiting,
            queued=max(queued, 0.0) / seconds,
            arrivals=int(arrivals),
            returned=int(returned),
            held=ended,
            executing=len(executing),
            idle_in_transaction=doing.count("idle_in_transaction"),
            idle=doing.count("idle"),
            oldest=median(executing) if executing else 0.0,
            lag=lag if used > _USED_UP or lag > _BLOCKED else 0.0,
            cpu=used,
        )

    def _change(self, before: int, decision: Decision) -> None:
        self._line.resize(decision.limit)
        self.changes.append(Change(monotonic(), before, decision.limit, decision.kind, decision.reason))
        self._metrics.pool[f"decision.{decision.kind}"] += 1
        LOG.info("%d connections may be in use, %d before: %s", decision.limit, before, decision.reason)

    def _count(self, seen: Observation) -> None:
        counts, milliseconds = self._metrics.pool, round(seen.seconds * 1000)
        counts[f"allowed.{seen.limit}"] += milliseconds
        counts[f"open.{self._line.open}"] += milliseconds
        counts[f"waiting.{_about(seen.waiting)}"] += milliseconds
        nanoseconds = round(seen.seconds * 1e9)
        counts["executing_ns"] += seen.executing * nanoseconds
        counts["idle_in_transaction_ns"] += seen.idle_in_transaction * nanoseconds
        counts["idle_ns"] += seen.idle * nanoseconds


def _about(number: int) -> int:
    """A number to its first binary digit, from 16 on: a queue may have any length, and each is a name."""
    return number if number < 16 else 1 << number.bit_length() - 1


class Leaks:
    """Finds connections that are held for longer than `after` seconds and do nothing."""

    def __init__(self, metrics: Metrics, after: float) -> None:
        self._metrics, self.after = metrics, after
        self.open: dict[Record, Holder] = {}

    def look(self, held: Held, seconds: float) -> None:
        """Tell of each once, with the stack that took it."""
        now = monotonic()
        for record, holder, what in held:
            idle, leaks = what == "idle_in_transaction", self._leaks(record, holder, what, now)
            if not idle and not leaks:
                continue
            counts = self._metrics.sites[site(holder[2])]
            if idle:
                counts["idle_in_transaction_ns"] += round(seconds * 1e9)
            if leaks:
                self.open[record] = holder
                self._metrics.pool["leaks"] += 1
                counts.update(leaks=1, leaked_ns=round((now - holder[0]) * 1e9))
                LOG.warning(
                    "a connection is held, and does nothing: %s. It was taken here:\n%s",
                    described([holder], now),
                    written(holder[2]),
                )

    def _leaks(self, record: Record, holder: Holder, what: Activity, now: float) -> bool:
        """Whether it does by now, and was not told of yet."""
        told = self.open.get(record) is holder
        return not told and what != "executing" and now - holder[0] >= self.after

    def returned(self, record: Record, holder: Holder, now: float) -> None:
        """One that was told of came back."""
        if self.open.pop(record, None) is not holder:
            return
        since, _, stack = holder
        late = max(now - since - self.after, 0.0)
        self._metrics.pool["leaks_returned"] += 1
        self._metrics.sites[site(stack)].update(leaks_returned=1, leaked_ns=round(late * 1e9))
        LOG.warning("the connection of %s was returned after all", described([holder], now))


def held_now(out: Iterable[tuple[Record, Holder]]) -> Held:
    """What each connection in use does at this moment."""
    return [(record, holder, activity(record.dbapi_connection)) for record, holder in out]
