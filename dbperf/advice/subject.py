"""A statement made ready to be judged: its facts, its tables, its parameter sets and today's plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dbperf.errors import StatementError
from dbperf.model.catalog import Catalog, Table
from dbperf.model.facts import StatementFacts, TableRef
from dbperf.model.plan import Plan
from dbperf.model.workload import Statement
from dbperf.plans.parameters import ParameterSets, parameter_sets
from dbperf.plans.target import PLANNER_COST, CostUnit

Explain = Callable[[str, Sequence[Any] | None], Plan]

SMALL_PAGES = 64
"""A table of at most so many 8 kB pages is read whole in well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A statement of the target that was explained; `plans` holds one plan a parameter set.

    `named` are the tables that its text names, by how it names them; a partition is judged as the root of
    its tree, where an index belongs.
    """

    statement: Statement
    facts: StatementFacts
    named: Mapping[TableRef, Table]
    sets: ParameterSets
    plans: tuple[Plan, ...]
    cost: float
    """Cost of an execution today in `unit`: the mean over the parameter sets."""
    unit: CostUnit = PLANNER_COST

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that the text names, each once."""
        return tuple({table.qualified: table for table in self.named.values()}.values())

    @property
    def weight(self) -> float:
        """What a unit of cost stands for: captured seconds where there are any, else calls.

        It makes costs of different statements comparable: a statement weighs what it took, not what the
        planner thought it would take.
        """
        seconds = self.statement.seconds
        return seconds / max(self.cost, 1.0) if seconds else float(max(self.statement.calls, 1))

    @property
    def expensive(self) -> bool:
        """Whether it costs so much that an index may be worth having."""
        return self.cost >= self.unit.worthwhile

    def eased(self, before: float, after: float) -> bool:
        """Whether a change of its cost is worth an index."""
        return after <= before * (1 - self.unit.share)

    @property
    def written(self) -> frozenset[str]:
        """Names of the tables whose rows it inserts, updates or deletes."""
        return frozenset(node.relation for node in self.plans[0].root.walk() if node.kind == "ModifyTable")

    @property
    def read(self) -> frozenset[str]:
        """Names of the tables that its plans scan, views and partitioned ones resolved."""
        return frozenset(scan.relation for plan in self.plans for scan in plan.scans())


def is_large(table: Table) -> bool:
    """Whether an index may be worth having: it can have one, and reading the whole of it takes time."""
    return table.kind == "p" or (table.kind in "rm" and table.pages > SMALL_PAGES)


def mean_cost(plans: Sequence[Plan]) -> float:
    """The mean cost of some plans."""
    return fmean(plan.cost for plan in plans)


def prepare(
    statement: Statement,
    facts: StatementFacts,
    catalog: Catalog,
    explain: Explain,
    unit: CostUnit = PLANNER_COST,
) -> Subject:
    """Choose parameters and plan as things are. Raises StatementError with the reason it cannot be."""
    found = {ref: catalog.find(ref.schema, ref.name) for ref in facts.tables}
    named = {ref: catalog.root(table) for ref, table in found.items() if table}
    sets = parameter_sets(statement, facts, catalog)
    try:
        plans = plan_all(statement, sets, explain)
    except StatementError as error:
        hidden = next((table.qualified for table in named.values() if not table.readable), "")
        if error.sqlstate == "42501" and hidden:
            raise StatementError(f"no permission to read {hidden}", "42501") from None
        if sets.origin != "statistics" or not (error.sqlstate or "").startswith("22"):
            raise
        sets = ParameterSets("generic")  # a made value did not fit where it was bound
        plans = plan_all(statement, sets, explain)
    return Subject(statement, facts, named, sets, plans, mean_cost(plans), unit)


def plan_all(statement: Statement, sets: ParameterSets, explain: Explain) -> tuple[Plan, ...]:
    """One plan a parameter set; a single one when generic. Raises StatementError."""
    if not sets.samples:
        return (explain(statement.sql, None),)
    return tuple(explain(sample.sql, sample.parameters) for sample in sets.samples)
