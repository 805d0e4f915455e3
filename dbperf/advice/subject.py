"""A statement made ready to be judged: its facts, its tables, its parameter sets and today's plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dbperf.errors import StatementError
from dbperf.model.catalog import Catalog, Table
from dbperf.model.facts import StatementFacts
from dbperf.model.plan import Plan
from dbperf.model.workload import Statement
from dbperf.plans.parameters import ParameterSets, parameter_sets

Explain = Callable[[str, Sequence[Any] | None], Plan]

SMALL_PAGES = 64
"""A table of at most so many 8 kB pages is read whole in well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A statement of the target that was explained; `plans` holds one plan a parameter set."""

    statement: Statement
    facts: StatementFacts
    tables: tuple[Table, ...]
    sets: ParameterSets
    plans: tuple[Plan, ...]

    @property
    def cost(self) -> float:
        """Planner cost of an execution today: the mean over the parameter sets."""
        return mean_cost(self.plans)

    @property
    def weight(self) -> float:
        """What a unit of cost stands for: captured seconds where there are any, else calls.

        It makes costs of different statements comparable: a statement weighs what it took, not what the
        planner thought it would take.
        """
        seconds = self.statement.execute_seconds
        return seconds / max(self.cost, 1.0) if seconds else float(max(self.statement.calls, 1))

    @property
    def large_tables(self) -> tuple[Table, ...]:
        """The tables that are worth an index."""
        return tuple(table for table in self.tables if table.kind in "rpm" and not is_small(table))


def is_small(table: Table) -> bool:
    """Whether reading the whole table is nothing to mend."""
    return table.pages <= SMALL_PAGES and table.kind != "p"


def mean_cost(plans: Sequence[Plan]) -> float:
    """The mean cost of some plans, in planner units."""
    return fmean(plan.cost for plan in plans)


def prepare(statement: Statement, facts: StatementFacts, catalog: Catalog, explain: Explain) -> Subject:
    """Choose parameters and plan as things are. Raises StatementError with the reason it cannot be."""
    found = [catalog.find(ref.schema, ref.name) for ref in facts.tables]
    tables = tuple({table.qualified: table for table in found if table}.values())
    for table in tables:
        if not table.readable:
            raise StatementError(f"no permission to read {table.qualified}", "42501")
    sets = parameter_sets(statement, facts, catalog)
    try:
        plans = plan_all(statement, sets, explain)
    except StatementError as error:
        if sets.origin != "statistics" or not (error.sqlstate or "").startswith("22"):
            raise
        sets = ParameterSets("generic")  # a made value did not fit where it was bound
        plans = plan_all(statement, sets, explain)
    return Subject(statement, facts, tables, sets, plans)


def plan_all(statement: Statement, sets: ParameterSets, explain: Explain) -> tuple[Plan, ...]:
    """One plan a parameter set; a single one when generic. Raises StatementError."""
    if not sets.samples:
        return (explain(statement.sql, None),)
    return tuple(explain(sample.sql, sample.parameters) for sample in sets.samples)
