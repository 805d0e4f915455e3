"""Proof by execution: a statement with and without an index, in turn, where that may be done.

Estimated cost is not time: measured on TPC-H, good index sets made a query 1.7x slower while its estimate
fell to half. So both states exist in one transaction (a savepoint undoes the DROP) and are timed in pairs,
interleaved, so that a machine that slows down slows both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import perf_counter
from typing import Any

import psycopg

from dbperf.advice.subject import Subject
from dbperf.errors import StatementError
from dbperf.model.catalog import Catalog
from dbperf.model.index import IndexSpec
from dbperf.model.workload import Sample
from dbperf.plans.connect import Connection
from dbperf.plans.explain import read_only, run
from dbperf.plans.whatif import WhatIfIndex
from dbperf.plans.whatif.build import BuildWhatIf

PAIRS = 3
SLOW_SECONDS = 0.5
"""A statement slower than this is timed in as many pairs, but not warmed up for each."""
RUN_TIMEOUT_MS = 30_000
MEASURED_SETS = 3

# Syntax that looks like a function call and has no pg_proc row.
_SYNTAX = frozenset(
    {"all", "any", "array", "case", "cast", "coalesce", "exists", "greatest", "least", "nullif", "some"}
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall seconds of one execution, rows fetched: median of interleaved runs, mean over parameter sets."""

    before: float
    after: float

    @property
    def factor(self) -> float:
        """How many times faster; below 1 is slower."""
        return self.before / max(self.after, 1e-9)


def why_not_timed(subject: Subject, catalog: Catalog) -> str:
    """Why `subject` must not be executed, empty if it may: proven read-only, with no side effect at all."""
    if not subject.facts.read_only:
        return "it writes"
    if not subject.sets.samples:
        return "no parameter values to run it with"
    for table in subject.tables:
        if table.kind in "vf":
            return f"{table.qualified} is a view or a foreign table, what it runs is not known"
    for name in subject.facts.functions:
        if name in catalog.volatile_functions:
            return f"{name}() is volatile"
        if name not in catalog.known_functions and name not in _SYNTAX:
            return f"{name}() is not known"
    return ""


def measure(whatif: BuildWhatIf, spec: IndexSpec, subjects: Sequence[Subject]) -> dict[str, Timing]:
    """Time each of `subjects` with and without `spec`; by fingerprint. One that fails to run is left out."""
    timings: dict[str, Timing] = {}
    with whatif.indexes((spec,)) as (index,):
        for subject in subjects:
            samples = subject.sets.samples[:MEASURED_SETS]
            try:
                pairs = [_pair(whatif, index, sample) for sample in samples]
            except StatementError:
                continue
            before, after = zip(*pairs, strict=True)
            timings[subject.statement.fingerprint] = Timing(fmean(before), fmean(after))
    return timings


def _pair(whatif: BuildWhatIf, index: WhatIfIndex, sample: Sample) -> tuple[float, float]:
    before, after = [], []
    for _ in range(PAIRS):
        with whatif.without(index):
            before.append(_seconds(whatif.connection, sample))
        after.append(_seconds(whatif.connection, sample))
    return median(before), median(after)


def _seconds(connection: Connection, sample: Sample) -> float:
    """One execution, rows fetched. The first run after DDL also pays for reading the catalog again."""
    with read_only(connection, RUN_TIMEOUT_MS) as cursor:
        seconds = _run_once(cursor, sample)
        return seconds if seconds > SLOW_SECONDS else _run_once(cursor, sample)


def _run_once(cursor: psycopg.RawCursor[Any], sample: Sample) -> float:
    start = perf_counter()
    run(cursor, sample.sql, sample.parameters)  # a client-side cursor: the rows are here when it returns
    return perf_counter() - start
