"""What ran: observations as capture hands them over, and the workload they are folded into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dbperf.model.histogram import Latency


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
