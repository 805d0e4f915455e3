"""The frozen Report that every renderer reads."""

from __future__ import annotations

from dataclasses import dataclass

from dbperf.model.recommendation import Recommendation, Severity
from dbperf.model.workload import Statement

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
    left out, and what capture did not see.
    """

    seen: int
    parsed: int
    explained: int
    skipped: tuple[Skipped, ...] = ()
    other_databases: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same traffic, measured again after the advice was applied."""

    calls: int
    execute_seconds: float


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


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reader is told. `applied`: the advice was applied and `after` was measured."""

    target: Target
    statements: tuple[StatementReport, ...]
    recommendations: tuple[Recommendation, ...]
    coverage: Coverage
    applied: bool = False

    def worst(self) -> Severity | None:
        """The highest severity among the recommendations, None when there are none."""
        return max((each.severity for each in self.recommendations), key=lambda s: s.rank, default=None)

    @property
    def execute_seconds(self) -> float:
        """Seconds spent executing all statements, as captured."""
        return sum(each.statement.execute_seconds for each in self.statements)

    @property
    def execute_seconds_after(self) -> float | None:
        """The same, after the advice was applied; None unless it was."""
        if not self.applied:
            return None
        return sum(each.after.execute_seconds for each in self.statements if each.after)

    @property
    def recoverable_seconds(self) -> float:
        """Seconds of the captured time that measured recommendations save.

        For each statement: captured seconds x (1 - measured after / measured before), of its best
        recommendation alone.
        """
        best: dict[str, float] = {}
        for recommendation in self.recommendations:
            for each in recommendation.evidence:
                best[each.fingerprint] = max(best.get(each.fingerprint, 0.0), each.saved_share or 0.0)
        return sum(
            each.statement.execute_seconds * best.get(each.statement.fingerprint, 0.0)
            for each in self.statements
        )
