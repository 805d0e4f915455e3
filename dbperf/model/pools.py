"""The figures of connection pools, and of the lines of code that keep their connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure, View


@dataclass(frozen=True, slots=True)
class _Kept(View):
    """Connections that were kept without need, of a pool or by a line."""

    @property
    def leaks(self) -> int:
        """Connections that were held for too long and did nothing."""
        return self.figure.count("leaks")

    @property
    def leaks_returned(self) -> int:
        """Of these, those that came back."""
        return self.figure.count("leaks_returned")

    @property
    def idle_in_transaction_seconds(self) -> float:
        """Connections in use with a transaction open while the program did something else; sampled."""
        return self._seconds("idle_in_transaction")


@dataclass(frozen=True, slots=True)
class Pool(_Kept):
    """Connection pools of one kind on one database; `name` is the pool's class."""

    KIND: ClassVar = "pool"

    @property
    def checkouts(self) -> int:
        """Connections handed out."""
        return self.figure.count("checkouts")

    @property
    def limit(self) -> int | None:
        """Connections it may have open at once in a process; None: no limit, or unknown."""
        limits = self.figure.by_number("limit")
        return max(limits, key=lambda each: limits[each]) if limits else None

    @property
    def busiest(self) -> int:
        """Most connections seen in use at once in a process, when one was handed out."""
        return max(self.figure.by_number("busy"), default=0)

    @property
    def wait_seconds(self) -> float:
        """Waiting for a connection to come free, without what it took to connect."""
        return self._seconds("wait")

    @property
    def wait(self) -> Latency:
        """The distribution of waits."""
        return self._latency("wait")

    @property
    def timeouts(self) -> int:
        """Checkouts that ended because no connection came free in time."""
        return self.figure.count("timeouts")

    @property
    def held_seconds(self) -> float:
        """Connections in use, from checkout to return."""
        return self._seconds("held")

    @property
    def held(self) -> Latency:
        """The distribution of how long connections were in use."""
        return self._latency("held")

    @property
    def raw_checkouts(self) -> int:
        """Checkouts on which no statement went through SQLAlchemy: the driver itself was used, or nothing."""
        return self.figure.count("raw_checkouts")

    @property
    def raw_seconds(self) -> float:
        """How long those held their connection."""
        return self._seconds("raw")

    @property
    def connects(self) -> int:
        """Connections opened."""
        return self.figure.count("connects")

    @property
    def connect_seconds(self) -> float:
        """Opening them."""
        return self._seconds("connect")

    @property
    def connect(self) -> Latency:
        """The distribution of how long that took."""
        return self._latency("connect")

    @property
    def connect_errors(self) -> int:
        """Connections that could not be opened."""
        return self.figure.count("connect_errors")

    @property
    def pings(self) -> int:
        """Connections asked whether they are alive, before they were handed out."""
        return self.figure.count("pings")

    @property
    def ping_seconds(self) -> float:
        """Asking them."""
        return self._seconds("ping")

    @property
    def ping(self) -> Latency:
        """The distribution of how long that took: about a round trip."""
        return self._latency("ping")

    @property
    def ping_errors(self) -> int:
        """Connections that turned out dead."""
        return self.figure.count("ping_errors")

    # The rest is counted by dbperf's own pool alone; dbperf.pool.metrics says how.

    @property
    def allowed(self) -> dict[int, float]:
        """Seconds with each number of connections that might be in use at once in a process, ascending."""
        return self._times("allowed")

    @property
    def cap_of(self) -> str:
        """Who says how many may be in use at the very most, for the longest time: `pool_size` (with
        `max_overflow`), `max_size`, `fleet` (this process's share of what the server allows), `default`
        (neither the user nor the server did); "" where it is not known.
        """
        return next(iter(self._by_name("cap")), "")

    @property
    def open(self) -> dict[int, float]:
        """Seconds with each number of connections open in a process, idle ones among them."""
        return self._times("open")

    @property
    def waiting(self) -> dict[int, float]:
        """Seconds with each number of checkouts waiting in a process; from 16 on about, a power of 2."""
        return self._times("waiting")

    @property
    def decisions(self) -> dict[str, int]:
        """How often the limit of connections in use was changed, by kind of reason, the usual ones first."""
        return self._by_name("decision")

    @property
    def stalled_seconds(self) -> float:
        """How long the database answered nobody."""
        return self.figure.count("stalled_ms") / 1e3

    @property
    def executing_seconds(self) -> float:
        """Connections in use for which the database worked; sampled."""
        return self._seconds("executing")

    @property
    def idle_seconds(self) -> float:
        """Connections in use on which nothing was open; sampled."""
        return self._seconds("idle")

    @property
    def retired(self) -> dict[str, int]:
        """Idle connections that the pool closed, by why, the most frequent first."""
        return self._by_name("retired")

    @property
    def refused(self) -> int:
        """Checkouts that were not let into a line that was too long."""
        return self.figure.count("refused")

    @property
    def spared_pings(self) -> int:
        """Pings that were not sent, since the connection had been used just before."""
        return self.figure.count("spared_pings")

    def _times(self, name: str) -> dict[int, float]:
        return {number: ms / 1e3 for number, ms in self.figure.by_number(name).items()}

    def _by_name(self, name: str) -> dict[str, int]:
        heads = [(key.partition("."), count) for key, count in self.figure.counts]
        found = {tail: count for (head, dot, tail), count in heads if dot and head == name}
        return dict(sorted(found.items(), key=lambda each: -each[1]))


def mean_number(times: Mapping[int, float]) -> float | None:
    """The mean of how many there were, from the seconds with each number; None of nothing."""
    total = sum(times.values())
    return sum(number * seconds for number, seconds in times.items()) / total if total else None


def usual_number(times: Mapping[int, float]) -> int | None:
    """How many there were for the longest time; None of nothing."""
    return max(times, key=lambda each: times[each]) if times else None


@dataclass(frozen=True, slots=True)
class Holder(_Kept):
    """A line of the application that takes connections of dbperf's own pool and keeps them; `name` is
    "file:line function".
    """

    KIND: ClassVar = "held"

    @staticmethod
    def name_of(file: str, line: int, function: str) -> str:
        """The name of a line."""
        return f"{file}:{line} {function}"

    @property
    def place(self) -> tuple[str, int, str]:
        """File, line and function; the line is 0 where the name tells none."""
        where, _, function = self.name.rpartition(" ")
        file, _, line = where.rpartition(":")
        told = line.isdecimal() and len(line) < 10
        return (file, int(line), function) if told else (self.name, 0, "")

    @property
    def leaked_seconds(self) -> float:
        """How long it held those, as far as known."""
        return self._seconds("leaked")


def pools(figures: Iterable[Figure]) -> tuple[Pool, ...]:
    """The connection pools, one for each database and kind of pool."""
    return tuple(Pool(each) for each in figures if each.kind == Pool.KIND)


def holders(figures: Iterable[Figure]) -> tuple[Holder, ...]:
    """The lines that kept connections, those that leaked most first."""
    found = [Holder(each) for each in figures if each.kind == Holder.KIND]
    return tuple(sorted(found, key=lambda each: (-each.leaks, -each.idle_in_transaction_seconds)))
