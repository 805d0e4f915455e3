"""What ran: observations as capture hands them over, and the workload they are folded into."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from operator import add, attrgetter
from typing import Any, TypeVar

from dbperf.model.histogram import Latency, merged
from dbperf.model.pools import Holder, Pool, holders, pools
from dbperf.model.runtime import Figure, Operation, Transactions, batchers, operations, together, transactions

_Item = TypeVar("_Item")

PARAMETER_SETS_KEPT = 8


@dataclass(frozen=True, slots=True)
class CallSite:
    """A line of the application that ran a statement, and how often."""

    file: str
    line: int
    function: str
    calls: int

    def at(self, calls: int) -> CallSite:
        """The same line with another number of calls."""
        return CallSite(self.file, self.line, self.function, calls)


@dataclass(frozen=True, slots=True)
class Access:
    """How executions of a statement belong together within operations: what the rules DBP4xx judge.

    | kind | calls are |
    |---|---|
    | lazy | loads of a relationship, one parent at a time |
    | column | loads of columns of one instance at a time, that were deferred, expired or of a subclass |
    | loop | executions from one line with different parameters |
    | again | executions whose parameters had been sent before in the same operation, nothing written since |
    | eager | statements that loaded a relationship along; `reads` of it by the process, of any instance |
    | ignored | executions whose `execution_options(dbperf_ignore=…)` leaves out rules: `loader` has them |

    Of lazy, column and loop, what came `FEWEST` times or more in one operation is told. `operation` is ""
    where none was open: then one checkout of a connection is meant. `loader` is the option of SQLAlchemy that
    would load it along, or does: "selectinload(User.posts)". `parent` is the line that loaded the instances.
    `calls` were made in `operations` of them, and took `nanoseconds` to execute. `site` and `parent` are
    places, with no calls of their own.
    """

    kind: str
    operation: str = ""
    site: CallSite | None = None
    loader: str = ""
    parent: CallSite | None = None
    operations: int = 0
    calls: int = 0
    nanoseconds: int = 0
    reads: int = 0

    @property
    def key(self) -> tuple[str, str, CallSite | None, str, CallSite | None]:
        """What tells one from another; counts with the same key are added."""
        return self.kind, self.operation, self.site, self.loader, self.parent


FEWEST = 3
"""Executions in one operation from which on they are told as a repetition."""

Counted = tuple[tuple[str, int], ...]
"""Names and how often each, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All executions of one SQL string on one engine, as capture saw them.

    `sql` and `parameters` are the driver's, in `paramstyle` (PEP 249 or SQLAlchemy's numeric_dollar).
    For the other fields see `Statement`.
    """

    sql: str
    dialect: str
    paramstyle: str
    database: str
    calls: int = 0
    parameter_sets: int = 0
    rows: int = 0
    unread_rows: int = 0
    errors: int = 0
    timeouts: int = 0
    cancellations: int = 0
    wait_ns: int = 0
    execute_ns: int = 0
    fetch_ns: int = 0
    latency: Latency = Latency()
    call_sites: tuple[CallSite, ...] = ()
    failures: Counted = ()
    operations: Counted = ()
    accesses: tuple[Access, ...] = ()
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
    """A SQL template and all that was measured of it. Times are seconds, summed over `calls`.

    `wait_seconds` were spent waiting for a connection to run it first on, without those of connecting.
    `latency` is that of executing. Of `rows` that came, `unread_rows` were never read. Failed calls are in
    `errors`, `timeouts` or `cancellations`; `failures` counts them by class. `operations` counts calls by
    the operation they were made in.
    """

    sql: str
    fingerprint: str
    dialect: str
    database: str
    calls: int = 0
    parameter_sets: int = 0
    rows: int = 0
    unread_rows: int = 0
    errors: int = 0
    timeouts: int = 0
    cancellations: int = 0
    wait_seconds: float = 0.0
    execute_seconds: float = 0.0
    fetch_seconds: float = 0.0
    latency: Latency = Latency()
    call_sites: tuple[CallSite, ...] = ()
    failures: Counted = ()
    operations: Counted = ()
    accesses: tuple[Access, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def seconds(self) -> float:
        """What the application waited for it once it had a connection: executing and fetching, in total.

        A driver that steps through the rows as they are fetched, as sqlite3 and a server-side cursor do,
        spends next to nothing on executing.
        """
        return self.execute_seconds + self.fetch_seconds

    @property
    def mean_seconds(self) -> float:
        """Mean execution time of a call; 0.0 for a statement that was given and not captured."""
        return self.execute_seconds / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Unseen:
    """What capture knows it did not keep, and what it cost."""

    folded_calls: int = 0
    """Executions counted, but not kept by statement, because `max_statements` was reached."""
    folded_ns: int = 0
    """What those took, execute and fetch."""
    observer_failures: int = 0
    """Times an observer failed and switched itself off."""
    flush_failures: int = 0
    """Times what was seen could not be written when it was due."""
    unlocated_calls: int = 0
    """Executions whose call site was not looked for, because dbperf was over its budget."""
    unsplit_calls: int = 0
    """Executions whose fetch and repetition were not looked at, for the same reason."""
    own_ns: int = 0
    """Time dbperf itself took for the `own_calls` that it measured itself at."""
    own_calls: int = 0

    def __add__(self, other: Unseen) -> Unseen:
        return Unseen(*map(add, _UNSEEN(self), _UNSEEN(other)))

    @property
    def own_seconds(self) -> float:
        """What dbperf itself took of a call, mean; 0.0 where that was not measured."""
        return self.own_ns / self.own_calls / 1e9 if self.own_calls else 0.0


_UNSEEN = attrgetter(*(each.name for each in fields(Unseen)))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in some time: statements by SQL string, run-time figures, and what was not kept."""

    observed: tuple[Observed, ...] = ()
    figures: tuple[Figure, ...] = ()
    unseen: Unseen = field(default_factory=Unseen)

    def __bool__(self) -> bool:
        return bool(self.observed or self.figures) or self.unseen != Unseen()


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes down what it sees. `id` is random, 63 bits; `started` seconds since 1970."""

    id: int
    host: str
    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class Workload:
    """Statements, the slowest in total first, and run-time figures, which have their own time.

    `notes` say, a sentence each, what its source left out.
    """

    statements: tuple[Statement, ...] = ()
    coverage: Unseen = field(default_factory=Unseen)
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds spent executing and fetching all statements."""
        return sum(statement.seconds for statement in self.statements)

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The connection pools, one for each database and kind of pool."""
        return pools(self.figures)

    @property
    def holders(self) -> tuple[Holder, ...]:
        """The lines that kept connections of dbperf's pool, those that leaked most first."""
        return holders(self.figures)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What the application was doing, by name, the longest in total first."""
        return operations(self.figures)

    @property
    def transactions(self) -> tuple[Transactions, ...]:
        """BEGIN, COMMIT and ROLLBACK, by database."""
        return transactions(self.figures)

    @property
    def batchers(self) -> tuple[Figure, ...]:
        """What query batchers did."""
        return batchers(self.figures)


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


def counted(parts: Iterable[Counted]) -> Counted:
    """The sum of several counts by name."""
    total: Counter[str] = Counter()
    for part in parts:
        for name, number in part:
            total[name] += number
    return tuple(total.most_common())


def accessed(accesses: Iterable[Access]) -> tuple[Access, ...]:
    """One for each key, with all its counts, those with most calls first."""
    alike: defaultdict[Any, list[Access]] = defaultdict(list)
    for each in accesses:
        alike[each.key].append(each)
    total = [each[0] if len(each) == 1 else _added(each) for each in alike.values()]
    return tuple(sorted(total, key=lambda each: -each.calls))


def _added(accesses: Sequence[Access]) -> Access:
    return Access(
        *accesses[0].key,
        operations=sum(each.operations for each in accesses),
        calls=sum(each.calls for each in accesses),
        nanoseconds=sum(each.nanoseconds for each in accesses),
        reads=sum(each.reads for each in accesses),
    )


_Executions = TypeVar("_Executions", Observed, Statement)

COUNTS = ("calls", "parameter_sets", "rows", "unread_rows", "errors", "timeouts", "cancellations")
TIMES = ("wait", "execute", "fetch")
"""Of each, Observed has nanoseconds and Statement seconds."""
NUMBERS = (*COUNTS, *(f"{name}_ns" for name in TIMES))
"""The fields of Observed that are added up."""


def _one_by_one(count: Callable[[Iterable[Any]], Any]) -> Callable[[Iterable[Iterable[Any]]], Any]:
    return lambda parts: count(chain.from_iterable(parts))


_ADDED: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys((*NUMBERS, *(f"{name}_seconds" for name in TIMES)), sum),
    "latency": merged,
    "call_sites": _one_by_one(called),
    "failures": counted,
    "operations": counted,
    "accesses": _one_by_one(accessed),
}
"""How fields of Observed and of Statement are added up; the others say what it is, or are samples."""


def added_up(alike: Sequence[_Executions]) -> _Executions:
    """The first, with the counts of all."""
    first = alike[0]
    if len(alike) == 1:
        return first
    names = [each.name for each in fields(first) if each.name in _ADDED]
    return replace(first, **{name: _ADDED[name](getattr(each, name) for each in alike) for name in names})


def combined(observed: Iterable[Observed]) -> list[Observed]:
    """One for each SQL string, dialect, paramstyle and database, as if it had been observed at once.

    Of more than 8 parameter sets, 8 that are spread over all of them are kept, the first among them.
    """
    alike: defaultdict[tuple[str, str, str, str], list[Observed]] = defaultdict(list)
    for each in observed:
        alike[each.sql, each.dialect, each.paramstyle, each.database].append(each)
    return [each[0] if len(each) == 1 else _together(each) for each in alike.values()]


def _together(observed: Sequence[Observed]) -> Observed:
    parameters = [each for one in observed for each in one.parameters]
    return replace(added_up(observed), parameters=tuple(spread(parameters, PARAMETER_SETS_KEPT)))


def seen_together(parts: Iterable[Seen]) -> Seen:
    """What was seen in several times or by several observers, as one."""
    parts = list(parts)
    return Seen(
        tuple(combined(each for part in parts for each in part.observed)),
        together(each for part in parts for each in part.figures),
        sum((part.unseen for part in parts), Unseen()),
    )
