"""What ran: observations as capture hands them over, and the workload they are folded into."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dbperf.model.histogram import Latency, merged

_Item = TypeVar("_Item")

PARAMETER_SETS_KEPT = 8


@dataclass(frozen=True, slots=True)
class CallSite:
    """A line of the application that ran a statement, and how often."""

    file: str
    line: int
    function: str
    calls: int


@dataclass(frozen=True, slots=True)
class Observed:
    """All executions of one SQL string on one engine, as capture saw them.

    `sql` and `parameters` are the driver's, in `paramstyle` (PEP 249 or SQLAlchemy's numeric_dollar).
    """

    sql: str
    dialect: str
    paramstyle: str
    database: str
    calls: int = 0
    parameter_sets: int = 0
    rows: int = 0
    errors: int = 0
    cancellations: int = 0
    execute_ns: int = 0
    latency: Latency = Latency()
    call_sites: tuple[CallSite, ...] = ()
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One real execution that may be planned or timed again: kept only where parameters may be kept.

    `parameters` are positional, the first for `$1`; `sql` still has the literals that a template drops.
    """

    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A SQL template and all that was measured of it. Times are seconds, summed over `calls`."""

    sql: str
    fingerprint: str
    dialect: str
    database: str
    calls: int = 0
    parameter_sets: int = 0
    rows: int = 0
    errors: int = 0
    cancellations: int = 0
    execute_seconds: float = 0.0
    latency: Latency = Latency()
    call_sites: tuple[CallSite, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def mean_seconds(self) -> float:
        """Mean execution time of a call; 0.0 for a statement that was given and not captured."""
        return self.execute_seconds / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Unseen:
    """What capture knows it did not keep."""

    folded_calls: int = 0
    """Executions counted, but not kept by statement, because `max_statements` was reached."""
    observer_failures: int = 0
    """Times an observer failed and switched itself off."""
    flush_failures: int = 0
    """Times what was seen could not be written when it was due."""

    def __add__(self, other: Unseen) -> Unseen:
        return Unseen(
            self.folded_calls + other.folded_calls,
            self.observer_failures + other.observer_failures,
            self.flush_failures + other.flush_failures,
        )


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes down what it sees. `id` is random, 63 bits; `started` seconds since 1970."""

    id: int
    host: str
    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class Workload:
    """Statements, the slowest in total first. `notes` say, a sentence each, what its source left out."""

    statements: tuple[Statement, ...] = ()
    coverage: Unseen = field(default_factory=Unseen)
    notes: tuple[str, ...] = ()

    @property
    def execute_seconds(self) -> float:
        """Seconds spent executing all statements."""
        return sum(statement.execute_seconds for statement in self.statements)


def called(sites: Iterable[CallSite]) -> tuple[CallSite, ...]:
    """One for each line, with all its calls, the most frequent first."""
    calls: Counter[tuple[str, int, str]] = Counter()
    for site in sites:
        calls[site.file, site.line, site.function] += site.calls
    return tuple(CallSite(*place, count) for place, count in calls.most_common())


def spread(items: Sequence[_Item], places: int) -> Sequence[_Item]:
    """At most `places` of the items, evenly spread over all of them, the first among them."""
    if len(items) <= places:
        return items
    return [items[place * len(items) // places] for place in range(places)]


def combined(observed: Iterable[Observed]) -> list[Observed]:
    """One for each SQL string, dialect, paramstyle and database, as if it had been observed at once.

    Of more than 8 parameter sets, 8 that are spread over all of them are kept, the first among them.
    """
    alike: defaultdict[tuple[str, str, str, str], list[Observed]] = defaultdict(list)
    for each in observed:
        alike[each.sql, each.dialect, each.paramstyle, each.database].append(each)
    return [each[0] if len(each) == 1 else _together(each) for each in alike.values()]


def _together(observed: Sequence[Observed]) -> Observed:
    first = observed[0]
    parameters = [each for one in observed for each in one.parameters]
    return Observed(
        sql=first.sql,
        dialect=first.dialect,
        paramstyle=first.paramstyle,
        database=first.database,
        calls=sum(each.calls for each in observed),
        parameter_sets=sum(each.parameter_sets for each in observed),
        rows=sum(each.rows for each in observed),
        errors=sum(each.errors for each in observed),
        cancellations=sum(each.cancellations for each in observed),
        execute_ns=sum(each.execute_ns for each in observed),
        latency=merged(each.latency for each in observed),
        call_sites=called(site for each in observed for site in each.call_sites),
        parameters=tuple(spread(parameters, PARAMETER_SETS_KEPT)),
    )
