"""Chooses indexes for a whole workload: what-if cost of each candidate, then greedy by benefit.

The skeleton is that of Extend (Schlosser, Kossmann, Boissier: "Efficient Scalable Multi-Attribute Index
Selection Using Recursive Strategies", ICDE 2019) without its recursion: candidates come complete from the
statements. Each is planned alone; the chosen are planned together at the end, and one that no plan uses goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dbperf.advice.indexes.candidates import candidates
from dbperf.advice.subject import Subject, mean_cost, plan_all
from dbperf.errors import StatementError
from dbperf.model.facts import Role
from dbperf.model.index import IndexSpec
from dbperf.model.plan import Plan
from dbperf.plans.whatif import WhatIf, WhatIfIndex

WORTHWHILE_COST = 100.0
"""Statements below this planner cost (about 100 pages read in a row) are left alone."""
WORTHWHILE_SHARE = 0.2
"""An index must take at least this share off the cost of one statement."""
SAME_COST = 1.1
"""A narrower index is preferred where the statements cost at most so many times as much with it."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of indexes as planned, and the plans by fingerprint."""

    indexes: tuple[WhatIfIndex, ...]
    plans: Mapping[str, tuple[Plan, ...]]

    def cost(self, subject: Subject) -> float:
        """Cost of `subject` with these indexes; as today where they were not tried on it."""
        plans = self.plans.get(subject.statement.fingerprint)
        return mean_cost(plans) if plans else subject.cost

    @property
    def spec(self) -> IndexSpec:
        """The first of the indexes: the one that is tried alone."""
        return self.indexes[0].spec

    def used_by(self, fingerprint: str) -> tuple[WhatIfIndex, ...]:
        """Those of the indexes that a plan of the statement uses."""
        used = frozenset().union(*(plan.indexes for plan in self.plans.get(fingerprint, ())))
        return tuple(index for index in self.indexes if index.shown & used)


@dataclass(frozen=True, slots=True)
class Found:
    """What the search came to: the chosen indexes planned together, all trials, and what failed."""

    chosen: Trial
    trials: tuple[Trial, ...]
    failed: Mapping[IndexSpec, str] = field(default_factory=dict)

    def tried_on(self, fingerprint: str) -> tuple[Trial, ...]:
        """The trials that planned a statement."""
        return tuple(trial for trial in self.trials if fingerprint in trial.plans)


def search(subjects: Sequence[Subject], whatif: WhatIf, progress: Progress) -> Found:
    """The indexes that are worth having for `subjects`, by planner cost."""
    wanted: dict[IndexSpec, list[Subject]] = {}
    expensive = [subject for subject in subjects if subject.cost >= WORTHWHILE_COST]
    for subject in expensive:
        for spec in candidates(subject):
            wanted.setdefault(spec, [])
    for spec, takers in wanted.items():
        takers += [subject for subject in expensive if _may_use(subject, spec)]
    trials: list[Trial] = []
    failed: dict[IndexSpec, str] = {}
    for number, (spec, takers) in enumerate(wanted.items()):
        progress(number / len(wanted), f"what if {spec.table} ({', '.join(spec.columns)})")
        try:
            trials.append(_try((spec,), takers, whatif))
        except StatementError as error:
            failed[spec] = error.reason
    return Found(_together(_choose(trials, expensive), expensive, whatif), tuple(trials), failed)


_SERVED = frozenset(Role) - {Role.SELECTED, Role.WRITTEN, Role.OTHER}


def _may_use(subject: Subject, spec: IndexSpec) -> bool:
    """Whether the statement does something with the leading column that an index serves."""
    return any(table.qualified == spec.qualified for table in subject.tables) and any(
        use.role in _SERVED and not use.expression
        for column in subject.facts.columns
        if column.name == spec.keys[0].column and (column.table is None or column.table.name == spec.table)
        for use in column.uses
    )


def _try(specs: tuple[IndexSpec, ...], takers: Sequence[Subject], whatif: WhatIf) -> Trial:
    with whatif.indexes(specs) as made:
        plans = {
            each.statement.fingerprint: plan_all(each.statement, each.sets, whatif.explain) for each in takers
        }
        return Trial(made, plans)


def _choose(trials: Sequence[Trial], subjects: Sequence[Subject]) -> list[IndexSpec]:
    """Greedy: the trial that saves most on top of those chosen, as long as one is worthwhile."""
    now = {subject.statement.fingerprint: subject.cost for subject in subjects}
    chosen: list[Trial] = []
    while gains := {
        trial.spec: gain for trial in trials if (gain := _gain(trial, subjects, now)) and trial not in chosen
    }:
        useful = [trial for trial in trials if trial.spec in gains]
        best = max(useful, key=lambda trial: gains[trial.spec])
        best = _narrowest(best, useful, subjects, now)
        chosen.append(best)
        for subject in subjects:
            fingerprint = subject.statement.fingerprint
            now[fingerprint] = min(now[fingerprint], best.cost(subject))
    return [trial.spec for trial in _without_covered(chosen, subjects)]


def _gain(trial: Trial, subjects: Sequence[Subject], now: Mapping[str, float]) -> float:
    """Weighted cost saved on top of `now`; 0.0 unless it is worthwhile for at least one statement."""
    total, worthwhile = 0.0, False
    for subject in subjects:
        before, after = now[subject.statement.fingerprint], trial.cost(subject)
        if after < before:
            total += subject.weight * (before - after)
            worthwhile |= before >= WORTHWHILE_COST and after <= before * (1 - WORTHWHILE_SHARE)
    return total if worthwhile else 0.0


def _narrowest(
    best: Trial, trials: Sequence[Trial], subjects: Sequence[Subject], now: Mapping[str, float]
) -> Trial:
    """The index with fewest keys that serves the statements `best` serves about as well."""
    served = [each for each in subjects if best.cost(each) < now[each.statement.fingerprint]]
    limit = SAME_COST * _weighted(best, served)
    good = [trial for trial in trials if _weighted(trial, served) <= limit]
    return min(
        good, key=lambda trial: (len(trial.spec.keys), trial.indexes[0].size_bytes, _weighted(trial, served))
    )


def _weighted(trial: Trial, subjects: Sequence[Subject]) -> float:
    return sum(subject.weight * trial.cost(subject) for subject in subjects)


def _without_covered(chosen: list[Trial], subjects: Sequence[Subject]) -> list[Trial]:
    """Drop an index that a wider chosen one covers, where the wider serves about as well."""
    kept = list(chosen)
    for trial in chosen:
        rest = [other for other in kept if other is not trial]
        if any(other.spec.covers(trial.spec) for other in rest):
            served = [each for each in subjects if each.statement.fingerprint in trial.plans]
            with_it = sum(each.weight * min(other.cost(each) for other in kept) for each in served)
            without = sum(each.weight * min(other.cost(each) for other in rest) for each in served)
            if without <= SAME_COST * with_it:
                kept = rest
    return kept


def _together(specs: list[IndexSpec], subjects: Sequence[Subject], whatif: WhatIf) -> Trial:
    """Plan with all chosen indexes present; one that no plan uses is dropped and the rest planned again."""
    while specs:
        takers = [each for each in subjects if any(_may_use(each, spec) for spec in specs)]
        trial = _try(tuple(specs), takers, whatif)
        used = {index.spec for each in takers for index in trial.used_by(each.statement.fingerprint)}
        if used == set(specs):
            return trial
        specs = [spec for spec in specs if spec in used]
    return Trial((), {})
