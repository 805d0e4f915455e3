"""Durations counted: how many, how long in total, how they are spread."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from dbperf.model.histogram import bucket_of

RECENT = 64
"""Durations that are counted at once."""


class Times(NamedTuple):
    """Durations: how many, their sum in nanoseconds, and how many by histogram bucket, but for the `recent`,
    which are not counted yet.
    """

    calls: int
    ns: int
    buckets: dict[int, int]
    recent: list[int]


class Timer:
    """Durations of one kind, as one thread saw them.

    Each is put in a list, `recent`, and 64 are counted together: behind a driver that waited for the server
    the memory of each counter has left the processor's cache, and to fetch it costs more than to count. What
    was counted is replaced by one assignment, so that another thread may read at any time. `more_ns` belongs
    to durations that were added already, or is no duration of its own.
    """

    __slots__ = ("errors", "more_ns", "recent", "times")

    def __init__(self) -> None:
        self.errors = self.more_ns = 0
        self.restart(Times(0, 0, {}, []))

    @property
    def calls(self) -> int:
        """How many durations."""
        times = self.times
        return times.calls + len(times.recent)

    @property
    def ns(self) -> int:
        """How long in total."""
        times = self.times
        return times.ns + sum(times.recent) + self.more_ns

    def add(self, nanoseconds: int) -> None:
        """Count a duration."""
        recent = self.recent
        recent.append(nanoseconds)
        if len(recent) >= RECENT:
            self.restart(self.read())

    def restart(self, times: Times) -> None:
        """Go on from `times`."""
        self.times = times
        self.recent = times.recent

    def read(self) -> Times:
        """All durations so far, counted."""
        calls, ns, buckets, recent = self.times
        buckets, recent = buckets.copy(), recent.copy()
        for nanoseconds in recent:
            bucket = bucket_of(nanoseconds)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        return Times(calls + len(recent), ns + sum(recent), buckets, [])

    def counts(self, name: str) -> Counter[str]:
        """As counts of a figure."""
        times = self.read()
        counts = Counter({f"{name}.{bucket}": calls for bucket, calls in times.buckets.items()})
        ns = times.ns + self.more_ns
        counts.update({f"{name}s": times.calls, f"{name}_ns": ns, f"{name}_errors": self.errors})
        return counts
