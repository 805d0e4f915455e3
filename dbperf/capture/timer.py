"""Durations counted: how many, how long in total, how they are spread."""

from __future__ import annotations

from collections import Counter

from dbperf.model.histogram import bucket_of


class Timer:
    """Durations of one kind, as one thread saw them; `buckets` counts them by histogram bucket."""

    __slots__ = ("buckets", "calls", "errors", "ns")

    def __init__(self) -> None:
        self.calls = self.ns = self.errors = 0
        self.buckets: dict[int, int] = {}

    def add(self, nanoseconds: int) -> None:
        """Count a duration."""
        self.calls += 1
        self.ns += nanoseconds
        bucket = bucket_of(nanoseconds)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def counts(self, name: str) -> Counter[str]:
        """As counts of a figure; another thread may be writing."""
        counts = Counter({f"{name}.{bucket}": calls for bucket, calls in self.buckets.copy().items()})
        counts.update({f"{name}s": self.calls, f"{name}_ns": self.ns, f"{name}_errors": self.errors})
        return counts
