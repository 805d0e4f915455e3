"""Chooses indexes for a whole workload: what-if cost of each candidate, then greedy by benefit.

The skeleton is that of Extend (Schlosser, Kossmann, Boissier: "Efficient Scalable Multi-Attribute Index
Selection Using Recursive Strategies", ICDE 2019) without its recursion: candidates come complete from the
statements. Each is planned alone; the chosen are planned together at the end, and one that serves none goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dbperf.advice.indexes.candidates import candidates
from dbperf.advice.subject import Subject, mean_cost, plan_all
from dbperf.errors import StatementError
from dbperf.model.facts import Role, TableRef
from dbperf.model.index import IndexSpec
from dbperf.model.plan import Plan
from dbperf.plans.whatif import WhatIf, WhatIfIndex

SAME_COST = 1.1
"""A narrower index is preferred where the statements cost at most so many times as much with it."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of indexes as planned; plans and their mean cost by fingerprint."""

    indexes: tuple[WhatIfIndex, ...]
    plans: Mapping[str, tuple[Plan, ...]]
    costs: Mapping[str, float]

    @property
    def spec(self) -> IndexSpec:
        """The first of the indexes: the one that is tried alone."""
        return self.indexes[0].spec

    def cost(self, subject: Subject) -> float:
        """Cost of `subject` with these indexes; as today where they were not tried on it."""
        return self.costs.get(subject.statement.fingerprint, subject.cost)

    def helps(self, subject: Subject) -> bool:
        """Whether they take a share off the cost of `subject` that is worth an index."""
        return subject.eased(subject.cost, self.cost(subject))

    def used_by(self, subject: Subject) -> tuple[WhatIfIndex, ...]:
        """Those of the indexes that a plan of `subject` uses."""
        plans = self.plans.get(subject.statement.fingerprint, ())
        used = frozenset().union(*(plan.indexes for plan in plans))
        return tuple(index for index in self.indexes if index.shown & used)

    def serves(self, subject: Subject) -> tuple[WhatIfIndex, ...]:
        """Those that it uses to its benefit."""
        return self.used_by(subject) if self.helps(subject) else ()


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
    """The indexes that are worth having for `subjects`, by cost. Fingerprints must differ."""
    expensive = _expensive(subjects)
    specs = dict.fromkeys(spec for subject in expensive for spec in candidates(subject))
    trials: list[Trial] = []
    failed: dict[IndexSpec, str] = {}
    # The widest first: where it helps nothing, what it starts with need not be built.
    for number, spec in enumerate(sorted(specs, key=lambda spec: -len(spec.keys))):
        progress(number / len(specs), f"what if {spec.table} ({', '.join(spec.columns)})")
        _add(trials, failed, spec, expensive, whatif)
    merged = dict.fromkeys(_reordered(_greedy(trials, expensive)))
    for spec in (each for each in merged if each not in specs):
        _add(trials, failed, spec, expensive, whatif)
    return choose(Found(Trial((), {}, {}), tuple(trials), failed), subjects, whatif)


def _expensive(subjects: Sequence[Subject]) -> list[Subject]:
    return [subject for subject in subjects if subject.expensive]


def _add(
    trials: list[Trial],
    failed: dict[IndexSpec, str],
    spec: IndexSpec,
    subjects: Sequence[Subject],
    whatif: WhatIf,
) -> None:
    """Try one index on the statements whose plan it may change, unless it is known to be no use."""
    takers = [each for each in subjects if _may_use(each, spec)]
    if _hopeless(spec, takers, trials):
        return
    try:
        trials.append(_try((spec,), takers, whatif))
    except StatementError as error:
        failed[spec] = error.reason


def choose(
    found: Found, subjects: Sequence[Subject], whatif: WhatIf, rejected: Collection[IndexSpec] = ()
) -> Found:
    """`found` with the best set of what was tried, without those that turned out bad when executed."""
    trials = [trial for trial in found.trials if trial.spec not in rejected]
    specs = _greedy(trials, _expensive(subjects))
    try:
        return Found(_together(specs, subjects, whatif), found.trials, found.failed)
    except StatementError as error:  # built a moment ago; now a lock or the disk is in the way
        reasons = dict.fromkeys(specs, error.reason)
        return Found(Trial((), {}, {}), found.trials, {**found.failed, **reasons})


def _reordered(chosen: Sequence[IndexSpec]) -> list[IndexSpec]:
    """Chosen indexes with a later key put first that is chosen alone, too: one may then do for both."""
    alone = {(spec.qualified, spec.keys[0]) for spec in chosen if len(spec.keys) == 1}
    return [
        IndexSpec(spec.schema, spec.table, (key, *(other for other in spec.keys if other != key)))
        for spec in chosen
        for key in spec.keys[1:]
        if (spec.qualified, key) in alone
    ]


def _hopeless(spec: IndexSpec, takers: Sequence[Subject], trials: Sequence[Trial]) -> bool:
    """Whether a wider index that starts with the same keys has helped no statement already."""
    wider = [trial for trial in trials if trial.spec.covers(spec)]
    return any(not any(trial.helps(each) for each in takers) for trial in wider)


_SERVED = frozenset(Role) - {
    *(Role.SELECTED, Role.WRITTEN, Role.OTHER),
    *(Role.LIKE_SUFFIX, Role.LIKE_INFIX, Role.CONTAINMENT),
}


def _may_use(subject: Subject, spec: IndexSpec) -> bool:
    """Whether the statement does something with the leading column that an index serves."""
    return any(
        # an expression in the select list may be a min() or max()
        (use.role is Role.SELECTED and bool(use.expression)) or (use.role in _SERVED and not use.expression)
        for column in subject.facts.columns
        if column.name == spec.keys[0].column and _is_of(subject, column.table, spec)
        for use in column.uses
    )


def _is_of(subject: Subject, ref: TableRef | None, spec: IndexSpec) -> bool:
    """Whether a column of `ref` may be one of the index; where the text cannot tell, of any table named."""
    refs = subject.named if ref is None else (ref,)
    return any(each in subject.named and subject.named[each].qualified == spec.qualified for each in refs)


def _try(specs: tuple[IndexSpec, ...], takers: Sequence[Subject], whatif: WhatIf) -> Trial:
    plans: dict[str, tuple[Plan, ...]] = {}
    with whatif.indexes(specs) as made:
        for each in takers:
            # One that cannot be planned this time (a lock, a timeout) counts as it is today.
            with suppress(StatementError):
                plans[each.statement.fingerprint] = plan_all(each.statement, each.sets, whatif.explain)
    return Trial(made, plans, {key: mean_cost(each) for key, each in plans.items()})


def _greedy(trials: Sequence[Trial], subjects: Sequence[Subject]) -> list[IndexSpec]:
    """The trial that saves most on top of those chosen, again and again, as long as one is worthwhile."""
    now = {subject.statement.fingerprint: subject.cost for subject in subjects}
    takers = {
        trial.spec: [each for each in subjects if each.statement.fingerprint in trial.plans]
        for trial in trials
    }
    chosen: list[Trial] = []
    useful = list(trials)
    while True:
        # What a trial saves shrinks as others are chosen: one that is not worthwhile now never will be.
        gains = {trial.spec: _gain(trial, takers[trial.spec], now) for trial in useful}
        useful = [trial for trial in useful if gains[trial.spec]]
        if not useful:
            return [trial.spec for trial in _without_covered(chosen, takers)]
        best = max(useful, key=lambda trial: gains[trial.spec])
        best = _narrowest(best, useful, takers[best.spec], now)
        chosen.append(best)
        useful.remove(best)
        for subject in takers[best.spec]:
            fingerprint = subject.statement.fingerprint
            now[fingerprint] = min(now[fingerprint], best.cost(subject))


def _gain(trial: Trial, takers: Sequence[Subject], now: Mapping[str, float]) -> float:
    """Weighted cost saved on top of `now`; 0.0 unless it is worthwhile for at least one statement."""
    total, worthwhile = 0.0, False
    for subject in takers:
        before, after = now[subject.statement.fingerprint], trial.cost(subject)
        if after < before:
            total += subject.weight * (before - after)
            worthwhile |= before >= subject.unit.worthwhile and subject.eased(before, after)
    return total if worthwhile else 0.0


def _narrowest(
    best: Trial, trials: Sequence[Trial], takers: Sequence[Subject], now: Mapping[str, float]
) -> Trial:
    """The index with fewest keys that serves the statements `best` serves about as well."""
    served = [each for each in takers if best.cost(each) < now[each.statement.fingerprint]]
    limit = SAME_COST * _weighted(best, served)
    good = [trial for trial in trials if _weighted(trial, served) <= limit]
    return min(
        good, key=lambda trial: (len(trial.spec.keys), trial.indexes[0].size_bytes, _weighted(trial, served))
    )


def _weighted(trial: Trial, subjects: Sequence[Subject]) -> float:
    return sum(subject.weight * trial.cost(subject) for subject in subjects)


def _without_covered(chosen: list[Trial], takers: Mapping[IndexSpec, Sequence[Subject]]) -> list[Trial]:
    """Drop an index that a wider chosen one covers, where the wider serves about as well."""
    kept = list(chosen)
    for trial in chosen:
        rest = [other for other in kept if other is not trial]
        if any(other.spec.covers(trial.spec) for other in rest):
            served = takers[trial.spec]
            with_it = sum(each.weight * min(other.cost(each) for other in kept) for each in served)
            without = sum(each.weight * min(other.cost(each) for other in rest) for each in served)
            if without <= SAME_COST * with_it:
                kept = rest
    return kept


def _together(specs: list[IndexSpec], subjects: Sequence[Subject], whatif: WhatIf) -> Trial:
    """Plan with all chosen indexes present; one that serves no statement is dropped, the rest planned again.

    The cheap statements are planned too: an index may lure one of them into a worse plan.
    """
    while specs:
        takers = [each for each in subjects if any(_may_use(each, spec) for spec in specs)]
        trial = _try(tuple(specs), takers, whatif)
        serving = {index.spec for each in takers for index in trial.serves(each)}
        if serving == set(specs):
            return trial
        specs = [spec for spec in specs if spec in serving]
    return Trial((), {}, {})
