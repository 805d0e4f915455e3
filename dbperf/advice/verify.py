"""Proof by execution: a statement with and without an index, in turn, where that may be done.

Estimated cost is not time: measured on TPC-H, good index sets made a query 1.7x slower while its estimate
fell to half. So both states exist in one transaction (a savepoint undoes the DROP) and are timed in pairs,
interleaved and in alternating order, so that a machine that slows down slows both. The best run of each
counts, as the standard library's timeit has it: what else the machine did can only have added time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from statistics import fmean
from time import perf_counter

from dbperf.advice.subject import Subject
from dbperf.errors import StatementError
from dbperf.model.catalog import Catalog
from dbperf.model.index import IndexSpec
from dbperf.model.workload import Sample
from dbperf.plans.whatif import Build, WhatIfIndex

MAX_PAIRS, SURE_PAIRS = 9, 3
SURE_SECONDS, ENOUGH_SECONDS = 1.0, 10.0
"""Seconds that the pairs of a parameter set take, after which three, or whatever is there, are enough."""
SLOW_SECONDS = 0.5
"""A run that took longer is not run again warm: what the first one adds is lost in it."""
RUN_TIMEOUT = 30.0
"""Seconds after which a run is ended."""
MEASURED_SETS = 3
MAX_RESULT_BYTES = 64 * 2**20
"""A result that the planner expects to be larger is not fetched into memory."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall seconds of one execution, rows fetched: best of interleaved runs, mean over parameter sets."""

    before: float
    after: float

    @property
    def factor(self) -> float:
        """How many times faster; below 1 is slower."""
        return self.before / max(self.after, 1e-9)


def why_not_timed(subject: Subject, catalog: Catalog) -> str:
    """Why `subject` must not be executed, empty if it may: proven read-only, with no side effect at all."""
    if not subject.facts.read_only:
        return "it writes or locks rows"
    if not subject.sets.samples:
        return "no parameter values to run it with"
    for table in subject.tables:
        if table.kind in "vf":
            return f"{table.qualified} is a view or a foreign table, what it runs is not known"
    for name in subject.facts.functions:
        if name in catalog.volatile_functions:
            return f"{name}() is volatile"
        if name not in catalog.known_functions:
            return f"{name}() is not known"
    rows = max(plan.root.rows for plan in subject.plans)
    if any(plan.root.rows * plan.root.width > MAX_RESULT_BYTES for plan in subject.plans):
        return f"it returns too much to fetch, about {rows:,.0f} rows"
    return ""


def measure(whatif: Build, spec: IndexSpec, subjects: Sequence[Subject]) -> dict[str, Timing | str]:
    """Time each of `subjects` with and without `spec`; by fingerprint, or why there is no timing of it."""
    timed: dict[str, Timing | str] = {}
    try:
        with whatif.indexes((spec,)) as (index,):
            for subject in subjects:
                timed[subject.statement.fingerprint] = _timing(whatif, index, subject)
    except StatementError as error:  # the index itself, which was built before: a lock, the disk
        return {each.statement.fingerprint: error.reason for each in subjects} | timed
    return timed


def _timing(whatif: Build, index: WhatIfIndex, subject: Subject) -> Timing | str:
    try:
        pairs = [_pair(whatif, index, sample) for sample in subject.sets.samples[:MEASURED_SETS]]
    except StatementError as error:
        if error.sqlstate == "57014":
            return f"it ran for more than {RUN_TIMEOUT:.0f} s"
        return f"it failed when run ({f'SQLSTATE {error.sqlstate}' if error.sqlstate else error.reason})"
    before, after = zip(*pairs, strict=True)
    return Timing(fmean(before), fmean(after))


def _pair(whatif: Build, index: WhatIfIndex, sample: Sample) -> tuple[float, float]:
    runs: dict[bool, list[float]] = {False: [], True: []}
    start = perf_counter()
    for number in count():
        spent = perf_counter() - start
        if number == MAX_PAIRS or spent > ENOUGH_SECONDS or (number >= SURE_PAIRS and spent > SURE_SECONDS):
            break
        for indexed in (False, True) if number % 2 == 0 else (True, False):
            with nullcontext() if indexed else whatif.without(index):
                runs[indexed].append(_seconds(whatif, sample))
    return min(runs[False]), min(runs[True])


def _seconds(whatif: Build, sample: Sample) -> float:
    """One execution, rows fetched. The first run after DDL also pays for reading the catalog again."""
    with whatif.executions(sample.sql, sample.parameters, RUN_TIMEOUT) as run:
        seconds = _timed(run)
        return seconds if seconds > SLOW_SECONDS else min(seconds, _timed(run))


def _timed(run: Callable[[], None]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start
