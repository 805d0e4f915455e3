"""A change, why it is advised, and how far it is proven."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dbperf.model.workload import CallSite


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 2 for error."""
        return list(Severity).index(self)


class Level(StrEnum):
    """How far a recommendation is proven, the best first."""

    MEASURED = "measured"
    WHAT_IF = "what-if"
    ESTIMATED = "estimated"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Verification:
    """How a recommendation was checked.

    Costs are in the unit of the evidence and seconds are wall time, both per execution and weighted by
    calls over the statements served; None where that was not looked at. Cost is never a time.
    """

    level: Level
    method: str
    cost_before: float | None = None
    cost_after: float | None = None
    seconds_before: float | None = None
    seconds_after: float | None = None
    server_version: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a change does to one statement; costs and seconds per execution, means over parameter sets.

    `parameters` says where the values came from: captured, statistics, none (there are none to bind) or
    generic. `not_timed` says why the statement was not, or may not be, executed. `cost_unit` is what the
    costs are: the planner's estimate, or the "VM steps" of SQLite, which were counted.

    Of a change to how a statement is used there are no plans and no costs. `usage` says how it is used, and
    `seconds_saved` how much of the captured time the change spares at least, over all calls: worked out
    from measured figures, and not measured itself.

    Of a change to a pool there is no statement: `fingerprint` and `sql` are "", and `calls` are checkouts.
    """

    fingerprint: str
    sql: str
    calls: int
    parameters: str = "none"
    parameter_sets: int = 0
    plan_before: str = ""
    plan_after: str = ""
    cost_before: float | None = None
    cost_after: float | None = None
    seconds_before: float | None = None
    seconds_after: float | None = None
    not_timed: str = ""
    cost_unit: str = "planner cost"
    usage: str = ""
    seconds_saved: float | None = None

    @property
    def saved_share(self) -> float | None:
        """The measured share of the statement's time that the change saves, 0 to 1; None if not timed."""
        if not self.seconds_before or self.seconds_after is None:
            return None
        return max(0.0, 1 - self.seconds_after / self.seconds_before)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A change to make. `id` is stable over runs for the same change to the same database objects."""

    id: str
    code: str
    slug: str
    severity: Severity
    title: str
    tables: tuple[str, ...]
    statements: tuple[str, ...]
    call_sites: tuple[CallSite, ...]
    ddl: tuple[str, ...]
    fix: str
    evidence: tuple[Evidence, ...]
    verification: Verification
    write_cost: str = ""
    size_bytes: int | None = None
    risk: str = ""

    @property
    def proven(self) -> bool:
        """Whether its statements were planned, or executed, with the change in place."""
        return self.verification.level in {Level.MEASURED, Level.WHAT_IF}
