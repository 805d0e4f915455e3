"""What a rule on pools judges, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbperf.model.histogram import Latency, middle_of
from dbperf.model.pools import Holder, Pool
from dbperf.model.recommendation import Severity
from dbperf.model.workload import CallSite


@dataclass(frozen=True, slots=True)
class PoolUse:
    """The pools of one kind on a database, the lines that kept connections of that database, and the seconds
    that its statements took, as captured.
    """

    pool: Pool
    holders: Sequence[Holder]
    statement_seconds: float

    @property
    def sampled_seconds(self) -> float:
        """Time of connections in use of which it is known what they did."""
        pool = self.pool
        return pool.executing_seconds + pool.idle_in_transaction_seconds + pool.idle_seconds

    @property
    def has_own_figures(self) -> bool:
        """Whether the pool is dbperf's, which counts more."""
        return bool(self.pool.allowed)

    @property
    def sizes_itself(self) -> bool:
        """Whether the limit of connections in use moves."""
        return self.has_own_figures and set(self.pool.allowed) != {self.pool.limit}

    @property
    def sized_by(self) -> str:
        """The keyword that says how many connections may be in use."""
        return "max_size" if self.pool.cap_of in {"max_size", "default"} else "pool_size + max_overflow"

    @property
    def is_of_fleet(self) -> bool:
        """Whether nobody said, and the limit is this process's share of what the server allows."""
        return self.pool.cap_of == "fleet"

    @property
    def handed_out_at_limit(self) -> int:
        """Checkouts after which all the connections that there may ever be were in use."""
        limit = self.pool.limit
        busy = self.pool.figure.by_number("busy")
        return sum(times for number, times in busy.items() if number >= limit) if limit else 0

    def held_longer_than(self, seconds: float) -> float:
        """How long connections were in use in all, of those that were for so many seconds or longer."""
        return _longer(self.pool.held, seconds)[1]

    def waited_longer_than(self, seconds: float) -> tuple[int, float]:
        """How many checkouts waited for so many seconds or longer, and how long they did in all."""
        return _longer(self.pool.wait, seconds)


def _longer(durations: Latency, seconds: float) -> tuple[int, float]:
    long = [(n, middle_of(each) / 1e9) for each, n in durations.buckets if middle_of(each) >= seconds * 1e9]
    return sum(n for n, _ in long), sum(n * each for n, each in long)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says; `key` tells it from others of the same rule. `measured` is the evidence in words,
    `saved` the seconds that the change spares at least, None where that is not known.
    """

    key: str
    severity: Severity
    title: str
    fix: str
    measured: str
    method: str
    call_sites: tuple[CallSite, ...] = ()
    risk: str = ""
    saved: float | None = None


def site(holder: Holder) -> CallSite | None:
    """The line of the application, without a count of calls; None where it is not known."""
    file, line, function = holder.place
    return CallSite(file, line, function, 0) if line else None
