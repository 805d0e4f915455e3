"""What a pool counts about itself, as far as it is ours to tell: since we watch it, or since we last told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from dbperf.model.pools import Holder

Line = tuple[str, int, str]
Counts = Mapping[Line | None, Counter[str]]
"""By the line that took the connections; None: of the pool as a whole."""

_NOTHING: Counts = {}


class PoolCounts:
    """The counts of the pools of one engine, which go on in the pool that takes another's place.

    A pool has them in `metrics`, which answers `counts()`, `by_site()` and `clear()`; `dbperf.pool.metrics`
    says what they are. Of other pools there are none.
    """

    def __init__(self) -> None:
        self._metrics: Any = None
        self._start = self._taken = self._end = _NOTHING
        self._closed = False

    def watch(self, pool: object) -> None:
        """Tell what a pool counts from now on."""
        metrics = getattr(pool, "metrics", None)
        told = all(callable(getattr(metrics, name, None)) for name in ("counts", "by_site", "clear"))
        if told and metrics is not self._metrics:
            self._metrics = metrics
            self._start, self._taken = self._read(), _NOTHING

    def close(self) -> None:
        """What is counted from now on is not ours."""
        self._end, self._closed = self._now(), True
        self._metrics = None

    def forget(self) -> None:
        """Start empty, in a forked child: whatever was counted is the parent's."""
        if self._metrics is not None:
            self._metrics.clear()
        self._start = self._taken = self._end = _NOTHING

    def total(self) -> Counts:
        """All that was counted."""
        return self._now()

    def fresh(self) -> Counts:
        """What was counted since the last call."""
        now = self._now()
        before, self._taken = self._taken, now
        return _difference(now, before)

    def _now(self) -> Counts:
        return self._end if self._closed else _difference(self._read(), self._start)

    def _read(self) -> Counts:
        if self._metrics is None:
            return _NOTHING
        return {None: self._metrics.counts(), **self._metrics.by_site()}


def by_line(counts: Counts) -> Iterator[tuple[str, Counter[str]]]:
    """Names of figures and their counts, of what was counted by line; with absolute paths, as call sites."""
    for line, counted in counts.items():
        if line is not None:
            file, number, function = line
            yield Holder.name_of(os.path.abspath(file) if file else "", number, function), counted


def _difference(now: Counts, before: Counts) -> Counts:
    """What is more; a count is never less, unless somebody else cleared it, and then all of it is new."""
    return {line: _more(counted, before.get(line, Counter())) for line, counted in now.items()}


def _more(now: Counter[str], before: Counter[str]) -> Counter[str]:
    started_again = any(now[name] < count for name, count in before.items())
    return now if started_again else now - before
