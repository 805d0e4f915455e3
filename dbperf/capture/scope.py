"""What belongs together: the statements of an operation, or, where none is open, of one checkout.

Within it a statement that one line runs again and again is noticed while it runs, and told at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from dbperf.model.workload import FEWEST

if TYPE_CHECKING:
    from dbperf.capture.slot import Site

_DIFFERENT_KEPT = 32
"""Parameter sets of a run that are known again. If so many were all different, the next are taken to be so
too.
"""

STEADY, SKIPPED = 8, 7
"""Where so many executions in a row were seen to be from the only line that a statement is known from, up to
so many are not looked at: as many as some bits of a duration say, so that no rhythm of the application
hides another line for long.
"""

Once = tuple[int, Any, int]
"""The only execution so far: its nanoseconds, its parameters, and how often was written before."""


class Run:
    """Executions of a site in one scope, from the second on.

    `again` of them had parameters that were seen before, with nothing written since; `renewed` of them too,
    but something was written meanwhile. `seen` has how often was written before each set of parameters came
    last. `told` is what was already handed over of `counts`. `noticed` is where to put it once it is worth
    telling, None when it is there. `steady`: so often in a row its statement was seen to be run from this
    line; of the next executions so many as `skip` are taken to be.
    """

    __slots__ = (
        "again",
        "again_ns",
        "calls",
        "noticed",
        "ns",
        "renewed",
        "renewed_ns",
        "seen",
        "site",
        "skip",
        "steady",
        "told",
    )

    def __init__(self, site: Site, first: Once, noticed: list[Run]) -> None:
        nanoseconds, parameters, writes = first
        self.site = site
        self.calls, self.ns = 1, nanoseconds
        self.again = self.again_ns = self.renewed = self.renewed_ns = self.steady = self.skip = 0
        self.noticed: list[Run] | None = noticed
        self.seen: dict[int, int] | None = {_identity(parameters): writes} if site.slot.reads else None
        self.told = (0, 0, 0, 0)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Executions with different parameters and their time, if they are many enough to be told; `again`
        and its time.
        """
        different = self.calls - self.again - self.renewed
        spent = self.ns - self.again_ns - self.renewed_ns
        many = (different, spent) if different >= FEWEST else (0, 0)
        return *many, self.again, self.again_ns

    def add(self, nanoseconds: int, parameters: Any, writes: int) -> int:
        """Count an execution; how many there are by now."""
        calls = self.calls = self.calls + 1
        self.ns += nanoseconds
        if (seen := self.seen) is not None:
            try:
                # To fail to hash a dictionary, which psycopg takes, would cost more than all the rest.
                identity = hash(tuple(parameters.values()) if type(parameters) is dict else parameters)
            except TypeError:  # a list in it, say
                identity = _identity(parameters)
            known = seen.get(identity)
            if known == writes:
                self.again += 1
                self.again_ns += nanoseconds
            elif known is not None:
                seen[identity] = writes
                self.renewed += 1
                self.renewed_ns += nanoseconds
            elif calls < _DIFFERENT_KEPT:
                seen[identity] = writes
            elif not self.again:
                self.seen = None
        if self.noticed is not None and (calls >= FEWEST or self.again):
            self.notice()
        return calls

    def absorb(self, other: Run, *, written: bool) -> None:
        """Add what another scope ran from the same line. What both ran with the same parameters was run
        again, unless something was written meanwhile.
        """
        both = len(self.seen.keys() & other.seen.keys()) if self.seen and other.seen else 0
        repeated, renewed = (0, both) if written else (both, 0)
        self.again += other.again + repeated
        self.again_ns += other.again_ns + repeated * other.ns // other.calls
        self.renewed += other.renewed + renewed
        self.renewed_ns += other.renewed_ns + renewed * other.ns // other.calls
        self.calls += other.calls
        self.ns += other.ns
        if self.seen and other.seen and len(self.seen) < _DIFFERENT_KEPT:
            self.seen |= other.seen

    def notice(self) -> None:
        """Put it where its scope is told from."""
        if self.noticed is not None:
            self.noticed.append(self)
            self.noticed = None


class Scope:
    """What its sites ran; `writes` counts statements that may have changed something, and commits: what is
    read again after one may be new. `noticed` are the runs worth telling.
    """

    __slots__ = ("noticed", "runs", "writes")

    def __init__(self) -> None:
        self.runs: dict[Site, Once | Run] = {}
        self.noticed: list[Run] = []
        self.writes = 0

    def second(self, site: Site, first: Once) -> Run:
        """What becomes of a site's only execution when there is another."""
        run = self.runs[site] = Run(site, first, self.noticed)
        return run


class Checkout(Scope):
    """A connection in use, since `started`. `wait_ns`, how long was waited for it, belongs to the first
    statement. `used`: something ran since the last transaction ended; `raw`: nothing did at all. `outer` is
    the one that has the connection too, of a pool of one, and has it again afterwards.
    """

    __slots__ = ("outer", "raw", "started", "used", "wait_ns")

    def __init__(self, started: int, wait_ns: int, outer: Checkout | None = None) -> None:
        self.outer = outer
        self.runs = {}
        self.noticed = []
        self.writes = 0
        self.started, self.wait_ns = started, wait_ns
        self.used, self.raw = False, True

    def begin(self) -> int:
        """A statement is the first since the last transaction ended; how long was waited for it, for the
        first of all.
        """
        self.used, self.raw = True, False
        waited, self.wait_ns = self.wait_ns, 0
        return waited


class Operation(Scope):
    """What the application is doing, by name; `outer` is the one it is part of.

    `inner_runs` are what operations within it ran and was not worth telling there: a function that is
    an operation may be called in a loop. `inner_calls` and `inner_ns` are of all that they executed. What a
    task runs that was started in it and outlives it is no part of it: it is `over`.
    """

    __slots__ = (
        "error",
        "inner_calls",
        "inner_ns",
        "inner_runs",
        "markers",
        "name",
        "outer",
        "over",
        "started",
    )

    def __init__(self, name: str, outer: Operation | None = None) -> None:
        super().__init__()
        self.name, self.outer = name, outer
        self.error = self.over = False
        self.markers: dict[str, tuple[int, int]] = {}
        self.inner_runs: dict[Site, Run] = {}
        self.inner_calls = self.inner_ns = 0
        self.started = perf_counter_ns()

    def marker(self, name: str) -> None:
        """Note how long it took from the beginning to here."""
        name = str(name)
        count, total = self.markers.get(name, (0, 0))
        self.markers[name] = count + 1, total + perf_counter_ns() - self.started

    def is_within(self, other: Operation) -> bool:
        """Whether it is `other` or a part of it."""
        operation: Operation | None = self
        while operation is not None and operation is not other:
            operation = operation.outer
        return operation is not None

    def executed(self) -> tuple[int, int]:
        """Executions and their nanoseconds, those within inner operations too."""
        calls, spent = self.inner_calls, self.inner_ns
        for run in list(self.runs.values()):
            more = (run.calls, run.ns) if isinstance(run, Run) else (1, run[0])
            calls, spent = calls + more[0], spent + more[1]
        return calls, spent

    def absorb(self, inner: Operation) -> None:
        """Add an operation within this one, which is over and told."""
        calls, spent = inner.executed()
        self.inner_calls += calls
        self.inner_ns += spent
        written = bool(inner.writes or self.writes)
        self.writes += inner.writes
        for site, once in [*inner.runs.items(), *inner.inner_runs.items()]:
            run = once if isinstance(once, Run) else Run(site, once, self.noticed)
            if any(run.told):
                continue
            known = self.inner_runs.setdefault(site, run)
            if known is not run:
                known.absorb(run, written=written)
            elif known.noticed is not None:
                known.noticed = self.noticed
            if any(known.counts):
                known.notice()


current: ContextVar[Operation | None] = ContextVar("dbperf_operation", default=None)
"""The operation that is open here: a task or thread that it starts inherits it."""


def still_open(operation: Operation | None) -> Operation | None:
    """The operation, or, where it is over, the innermost one around it that is not."""
    while operation is not None and operation.over:
        operation = operation.outer
    return operation


def parent_of(scope: Scope | None, of: Site, name: str) -> Site | None:
    """The line that loaded the instances of a mapped class which another line, `of`, is busy with.

    The last that began to load any before that line began, in this scope or in the ones around it; else
    the last at all, which may be the line itself: what it loads, it goes on from.
    """
    later: Site | None = None
    while scope is not None:
        before: Site | None = None
        sites = list(scope.runs)
        ahead = sites.index(of) if of in scope.runs else len(sites)
        for number, site in enumerate(sites):
            if name in site.slot.loads and (number < ahead or before is None):
                before, later = (site, later) if number < ahead else (before, later or site)
        if before is not None:
            return before
        scope = getattr(scope, "outer", None)
    return later


def untold(scope: Scope) -> Iterator[tuple[Run, tuple[int, ...], tuple[int, ...]]]:
    """The runs noticed, what is new of their counts since the last time, and what was told of them before.

    Another thread may be running statements in the scope.
    """
    for run in scope.noticed.copy():
        now, before = run.counts, run.told
        if now != before:
            run.told = now
            yield run, tuple(count - known for count, known in zip(now, before, strict=True)), before


def _identity(parameters: Any) -> int:
    try:
        return hash(tuple(parameters.values()) if isinstance(parameters, dict) else parameters)
    except TypeError:  # a list, say; by its text then
        return hash(repr(parameters))
