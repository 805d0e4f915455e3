"""Run-time figures: what was counted while a program ran; all add up, over time and processes.

Those of transactions and operations; connection pools are in `dbperf.model.pools`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from dbperf.model.histogram import Latency


@dataclass(frozen=True, slots=True)
class Figure:
    """Counts of one thing by name. `database` is host/port/name, "" where it has none.

    A distribution is counts too: the durations "wait" fell into bucket 93 `wait.93` times.
    """

    kind: str
    name: str
    database: str
    counts: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, kind: str, name: str, database: str, counts: Mapping[str, int]) -> Figure:
        """From a mapping; what is 0 is left out."""
        return cls(kind, name, database, tuple(sorted((key, n) for key, n in counts.items() if n)))

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells one from another; counts with the same key are added."""
        return self.kind, self.name, self.database

    def count(self, name: str) -> int:
        """A count, 0 for what was never counted."""
        return dict(self.counts).get(name, 0)

    def by_number(self, name: str) -> dict[int, int]:
        """The counts of a distribution, by number, ascending."""
        parts = ((key.rpartition("."), count) for key, count in self.counts)
        return dict(sorted((int(tail), count) for (head, _, tail), count in parts if head == name))


def together(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """One for each kind, name and database, with the sums of the counts."""
    alike: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for each in figures:
        alike[each.key].update(dict(each.counts))
    return tuple(Figure.of(*key, counts) for key, counts in sorted(alike.items()))


DURATIONS = frozenset({"wait", "held", "connect", "ping", "commit", "rollback", "whole"})
"""The distributions of durations: their numbers are buckets of `Latency`."""
CONNECTIONS = frozenset({"limit", "busy", "allowed", "open", "waiting"})
"""The distributions of how many connections, or checkouts, there were."""


@dataclass(frozen=True, slots=True)
class View:
    """Counts of one thing, told by what they mean."""

    figure: Figure

    @property
    def name(self) -> str:
        """What tells it from others of its kind."""
        return self.figure.name

    @property
    def database(self) -> str:
        """host/port/name."""
        return self.figure.database

    def _seconds(self, name: str) -> float:
        return self.figure.count(f"{name}_ns") / 1e9

    def _latency(self, name: str) -> Latency:
        return Latency.of(self.figure.by_number(name))


@dataclass(frozen=True, slots=True)
class Transactions(View):
    """Transactions on one database.

    Where a driver sends BEGIN by itself before the first statement, as psycopg and asyncpg do, its time is in
    that statement's.
    """

    KIND: ClassVar = "transactions"

    @property
    def begins(self) -> int:
        """Transactions begun."""
        return self.figure.count("begins")

    @property
    def begin_seconds(self) -> float:
        """Beginning them, where that is a call of its own."""
        return self._seconds("begin")

    @property
    def commits(self) -> int:
        """Transactions committed."""
        return self.figure.count("commits")

    @property
    def commit_seconds(self) -> float:
        """Committing them."""
        return self._seconds("commit")

    @property
    def commit(self) -> Latency:
        """The distribution of how long a COMMIT took."""
        return self._latency("commit")

    @property
    def rollbacks(self) -> int:
        """Transactions rolled back, those that a connection was returned in among them."""
        return self.figure.count("rollbacks")

    @property
    def rollback_seconds(self) -> float:
        """Rolling them back."""
        return self._seconds("rollback")

    @property
    def rollback(self) -> Latency:
        """The distribution of how long a ROLLBACK took."""
        return self._latency("rollback")

    @property
    def errors(self) -> int:
        """Of all of these, those that failed."""
        return self.figure.count("errors")


@dataclass(frozen=True, slots=True)
class Operation(View):
    """What the application was doing: a request, a job, a test; `name` is its name or route."""

    KIND: ClassVar = "operation"

    @property
    def calls(self) -> int:
        """How often."""
        return self.figure.count("calls")

    @property
    def errors(self) -> int:
        """Of these, those that ended with an exception."""
        return self.figure.count("errors")

    @property
    def seconds(self) -> float:
        """From beginning to end, in total."""
        return self._seconds("whole")

    @property
    def latency(self) -> Latency:
        """The distribution of how long it took."""
        return self._latency("whole")

    @property
    def statements(self) -> int:
        """Executions of statements in it, in total."""
        return self.figure.count("statements")

    @property
    def database_seconds(self) -> float:
        """Executing those, in total."""
        return self._seconds("execute")

    @property
    def markers(self) -> dict[str, tuple[int, float]]:
        """For each marker how often it was set, and the mean seconds from the beginning to it."""
        counts = dict(self.figure.counts)
        set_ = {key.removeprefix("marker "): n for key, n in counts.items() if key.startswith("marker ")}
        return {name: (n, counts.get(f"marker_ns {name}", 0) / n / 1e9) for name, n in set_.items()}


def operations(figures: Iterable[Figure]) -> tuple[Operation, ...]:
    """What the application was doing, by name, the longest in total first."""
    found = [Operation(each) for each in figures if each.kind == Operation.KIND]
    return tuple(sorted(found, key=lambda each: -each.seconds))


def transactions(figures: Iterable[Figure]) -> tuple[Transactions, ...]:
    """BEGIN, COMMIT and ROLLBACK, by database."""
    return tuple(Transactions(each) for each in figures if each.kind == Transactions.KIND)


def batchers(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """What query batchers did."""
    return tuple(each for each in figures if each.kind == "batcher")
