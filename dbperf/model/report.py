"""The frozen Report that every renderer reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbperf.model.facts import Complexity
from dbperf.model.recommendation import Recommendation, Severity
from dbperf.model.runtime import Figure
from dbperf.model.workload import Statement, Unseen

ENVIRONMENTS = ("production", "staging", "disposable")
"""What a database may be, the one that must never be touched first."""


@dataclass(frozen=True, slots=True)
class Target:
    """The database a report is about; `database` is host/port/name, never a user or a password.

    `environment` is "" where the statements were judged on no database yet.
    """

    database: str
    server_version: str
    environment: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A statement that was not explained, and why. `syntax_error`: the server cannot read its text."""

    fingerprint: str
    sql: str
    reason: str
    syntax_error: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at: `seen` statements, of which `parsed` and `explained`; the rest is in `skipped`.

    `other_databases` counts statements recorded on another database. `notes` says what was
    left out. `unseen` is what capture did not see, and what it cost.
    """

    seen: int
    parsed: int
    explained: int
    skipped: tuple[Skipped, ...] = ()
    other_databases: int = 0
    notes: tuple[str, ...] = ()
    unseen: Unseen = field(default_factory=Unseen)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same traffic, measured again after the advice was applied."""

    calls: int
    execute_seconds: float
    fetch_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """As `Statement.seconds`, to be compared with it."""
        return self.execute_seconds + self.fetch_seconds


@dataclass(frozen=True, slots=True)
class StatementReport:
    """A statement and its verdict: what to do about it, or why nothing.

    `cost` is per execution, in the unit of the evidence, None where it was not explained.
    `recommendations` are ids.
    """

    statement: Statement
    verdict: str
    tables: tuple[str, ...] = ()
    cost: float | None = None
    recommendations: tuple[str, ...] = ()
    after: Replayed | None = None
    complexity: Complexity | None = None
    """None where the text was not parsed."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reader is told. `applied`: the advice was applied and `after` was measured.

    `figures` are those of the pools and transactions of this database, and of all operations.
    """

    target: Target
    statements: tuple[StatementReport, ...]
    recommendations: tuple[Recommendation, ...]
    coverage: Coverage
    applied: bool = False
    figures: tuple[Figure, ...] = ()

    def worst(self) -> Severity | None:
        """The highest severity among the recommendations, None when there are none."""
        return max((each.severity for each in self.recommendations), key=lambda s: s.rank, default=None)

    @property
    def seconds(self) -> float:
        """Seconds spent executing and fetching all statements, as captured."""
        return sum(each.statement.seconds for each in self.statements)

    @property
    def recoverable_seconds(self) -> float:
        """Seconds of the captured time that measured recommendations save.

        For each statement: captured seconds x (1 - measured after / measured before), of its best
        recommendation alone. Both are of executing and fetching.
        """
        best: dict[str, float] = {}
        for recommendation in self.recommendations:
            for each in recommendation.evidence:
                best[each.fingerprint] = max(best.get(each.fingerprint, 0.0), each.saved_share or 0.0)
        return sum(
            each.statement.seconds * best.get(each.statement.fingerprint, 0.0) for each in self.statements
        )
