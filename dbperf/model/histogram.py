"""A mergeable latency histogram: log2 with 8 linear buckets per octave.

The bucket of a duration is its exponent and the three bits after the leading one, so a value is off by
at most 1/16 (6.25 %) from the middle of its bucket, whatever its size. Two histograms merge by adding
counts. The layout is that of HdrHistogram (https://github.com/HdrHistogram/HdrHistogram) with 3 bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


def bucket_of(nanoseconds: int) -> int:
    """The bucket index of a duration; exact below 16 ns, monotone above."""
    if nanoseconds < 8:
        return max(nanoseconds, 0)
    octave = nanoseconds.bit_length() - 4
    return (octave << 3) + (nanoseconds >> octave)


def middle_of(bucket: int) -> float:
    """The middle of a bucket, in nanoseconds."""
    if bucket < 8:
        return float(bucket)
    shift = (bucket >> 3) - 1
    low = (8 + (bucket & 7)) << shift
    return low + ((1 << shift) - 1) / 2


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency distribution; `buckets` holds (bucket index, count) in ascending order."""

    buckets: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Latency:
        """From a mapping of bucket index to count."""
        return cls(tuple(sorted(counts.items())))

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return sum(count for _, count in self.buckets)

    def quantile(self, q: float) -> float:
        """The duration in seconds below which a share `q` (0 to 1) of the executions fell; 0.0 when empty."""
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile lies between 0 and 1, not {q}")
        rank = q * self.count
        seen = 0
        for bucket, count in self.buckets:
            seen += count
            if seen >= rank:
                return middle_of(bucket) / 1e9
        return 0.0


def merged(histograms: Iterable[Latency]) -> Latency:
    """The distribution of all durations of `histograms` together."""
    counts: Counter[int] = Counter()
    for histogram in histograms:
        for bucket, count in histogram.buckets:
            counts[bucket] += count
    return Latency.of(counts)
