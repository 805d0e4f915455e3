"""A statement with its plan, made to be read, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dbperf.model.facts import Complexity
from dbperf.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan and what each of its nodes accounts for.

    `shares` are 0 to 1, in the order of `plan.root.walk()`: of the time if the statement was executed, else
    of the cost; empty where the database prints no cost. It was planned with `values` for `$1`, `$2` …, the
    costliest of `sets`, whose `parameters` say where they come from, as those of an Evidence do. `untimed`
    says why it was not executed though that was asked for. `complexity` is None where the text was not
    parsed.
    """

    sql: str
    line: int
    plan: Plan
    shares: tuple[float, ...]
    parameters: str
    values: tuple[Any, ...] = ()
    sets: int = 0
    untimed: str = ""
    complexity: Complexity | None = None
