"""What `doctor` found out about a database, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check came out; ERROR: dbperf cannot do its work on this database."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """For comparing: ok is 0, error is 3."""
        return list(Status).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `name` is stable; `found` is a sentence.

    `why` it matters, what of dbperf is `degraded` and what `fixes` it are empty where all is well. A fix is
    a statement to run as it is, or `-- ` and what SQL cannot do; in order.
    """

    name: str
    status: Status
    found: str
    why: str = ""
    degraded: str = ""
    fixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkup:
    """All checks of a database; `database` is host/port/name or a file, never a user or a password."""

    database: str
    server: str
    """The server and its version, "PostgreSQL 18.4"."""
    checks: tuple[Check, ...]

    @property
    def worst(self) -> Status:
        """The highest status among the checks."""
        return max((each.status for each in self.checks), key=lambda status: status.rank, default=Status.OK)
