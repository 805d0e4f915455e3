"""DBP101 missing-index: a statement reads far more of a table than it needs, and an index would spare that.

**Why it matters.** Without an index that fits, PostgreSQL reads the whole table to find a few rows, or sorts
what an index keeps sorted. The cost grows with the table, so it is the classic of "it was fast last year".

**How it is found.** Candidate indexes come from what the captured statements do with their columns: equality
first, then the sort, then a range. Each candidate is really built in a transaction that is rolled back (on
staging or a disposable database only), and every statement of its table is planned with several parameter
sets. An index that serves several statements is one recommendation. One that is, or is a prefix of, an
existing index is never advised, nor one that no plan uses.

**How it is proven.** With `--verify`, the statements are executed with and without the index in turn: one
that turns out not to be faster is not advised, nor one that slows another statement by more than a tenth.
Without a database where an index may be built, a finding says `unverified` and what is missing for a proof.

**What to weigh.** Every index costs disk, and time on each INSERT, and on each UPDATE of its columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbperf.advice.indexes.search import Found
from dbperf.advice.subject import Subject, mean_cost
from dbperf.advice.verify import Timing, why_not_timed
from dbperf.model.catalog import Catalog, Table
from dbperf.model.facts import Role
from dbperf.model.index import IndexSpec
from dbperf.model.plan import Plan
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.workload import CallSite
from dbperf.plans.whatif import WhatIfIndex

CODE, SLUG = "DBP101", "missing-index"

SLOWER = 1.1
"""An index that makes any statement this many times slower is not advised; nor one that makes none faster."""
NOISE_SECONDS = 0.0005

ERROR_SHARE, INFO_SHARE = 0.25, 0.01
"""Shares of all captured time that an index saves, from which it is an error, below which it is info."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one proposed index. `plans` by fingerprint, under the index; `timings` if executed."""

    spec: IndexSpec
    plans: Mapping[str, Sequence[Plan]]
    method: str
    index: WhatIfIndex | None = None
    timings: Mapping[str, Timing] = field(default_factory=dict)


def proofs(found: Found, timings: Mapping[IndexSpec, Mapping[str, Timing]], method: str) -> tuple[Proof, ...]:
    """One proof for each chosen index, with the statements whose plans use it."""
    chosen = found.chosen
    return tuple(
        Proof(
            index.spec,
            {key: plans for key, plans in chosen.plans.items() if index in chosen.used_by(key)},
            method,
            index,
            timings.get(index.spec, {}),
        )
        for index in chosen.indexes
    )


def rejection(timings: Mapping[str, Timing]) -> str:
    """Why execution speaks against an index, empty if it does not (or nothing was executed)."""
    slower = [
        timing
        for timing in timings.values()
        if timing.after > timing.before * SLOWER and timing.after - timing.before > NOISE_SECONDS
    ]
    if slower:
        worst = min(slower, key=lambda timing: timing.factor)
        return f"executed, it made a statement {1 / worst.factor:.1f}x slower"
    if timings and not any(timing.factor >= SLOWER for timing in timings.values()):
        return "executed, it made nothing faster"
    return ""


def recommend(
    proof: Proof, subjects: Sequence[Subject], catalog: Catalog, captured_seconds: float
) -> Recommendation:
    """The recommendation for one index. `captured_seconds` is the whole workload's."""
    spec = proof.spec
    table = catalog.tables[spec.qualified]
    served = sorted(
        (each for each in subjects if each.statement.fingerprint in proof.plans),
        key=lambda each: -each.statement.execute_seconds,
    )
    name = _free_name(spec, catalog)
    evidence = tuple(_evidence(each, proof, catalog, name) for each in served)
    concurrently = table.kind != "p"
    columns = ", ".join(f'"{column}"' for column in spec.columns)
    return Recommendation(
        id=f"{CODE}:{spec.qualified}({','.join(key.sql() for key in spec.keys)})",
        code=CODE,
        slug=SLUG,
        severity=_severity(evidence, served, captured_seconds),
        title=f"{spec.table} has no index on ({', '.join(spec.columns)})",
        tables=(spec.qualified,),
        statements=tuple(each.statement.fingerprint for each in served),
        call_sites=_call_sites(served),
        ddl=(spec.ddl(name=name, concurrently=concurrently) + ";",),
        fix=f'Index("{name}", {columns}) in __table_args__ of the model of {spec.table}',
        evidence=evidence,
        verification=_verification(proof, evidence, catalog),
        write_cost=_write_cost(spec, table, subjects),
        size_bytes=proof.index.size_bytes if proof.index else None,
        risk=_RISK if concurrently else _RISK_PARTITIONED,
    )


_RISK = (
    "CREATE INDEX CONCURRENTLY blocks no writes, but cannot run in a transaction; "
    "interrupted, it leaves an INVALID index to drop"
)
_RISK_PARTITIONED = (
    "on a partitioned table CREATE INDEX cannot be CONCURRENTLY: it blocks writes while it runs"
)


def _evidence(subject: Subject, proof: Proof, catalog: Catalog, name: str) -> Evidence:
    statement = subject.statement
    plans = proof.plans[statement.fingerprint]
    after = plans[0].scan_of(proof.spec.table) if plans else ""
    for shown in proof.index.shown if proof.index else ():
        after = after.replace(shown, name)  # a reader should see the name that is proposed
    timing = proof.timings.get(statement.fingerprint)
    return Evidence(
        fingerprint=statement.fingerprint,
        sql=statement.sql,
        calls=statement.calls,
        parameters=subject.sets.origin,
        parameter_sets=len(subject.sets.samples),
        plan_before=subject.plans[0].scan_of(proof.spec.table),
        plan_after=after,
        cost_before=subject.cost,
        cost_after=mean_cost(plans) if plans else None,
        seconds_before=timing.before if timing else None,
        seconds_after=timing.after if timing else None,
        not_timed="" if timing else why_not_timed(subject, catalog),
    )


def _verification(proof: Proof, evidence: Sequence[Evidence], catalog: Catalog) -> Verification:
    measured = [each for each in evidence if each.seconds_before is not None]
    planned = all(each.cost_after is not None for each in evidence)
    level = Level.MEASURED if measured else Level.WHAT_IF if planned else Level.UNVERIFIED
    return Verification(
        level=level,
        method=proof.method + _EXECUTED if measured else proof.method,
        cost_before=_mean((each.cost_before, each.calls) for each in evidence),
        cost_after=_mean((each.cost_after or 0.0, each.calls) for each in evidence) if planned else None,
        seconds_before=_mean((each.seconds_before or 0.0, each.calls) for each in measured),
        seconds_after=_mean((each.seconds_after or 0.0, each.calls) for each in measured),
        server_version=catalog.server_version,
    )


_EXECUTED = "; the statements executed with and without it, in turn"


def _mean(values: Iterable[tuple[float, int]]) -> float | None:
    """The mean weighted by calls; a statement that was given and not captured counts once."""
    pairs = [(value, max(calls, 1)) for value, calls in values]
    return sum(value * calls for value, calls in pairs) / sum(calls for _, calls in pairs) if pairs else None


def _severity(evidence: Sequence[Evidence], served: Sequence[Subject], captured_seconds: float) -> Severity:
    if not captured_seconds:
        return Severity.WARNING
    taken = {each.statement.fingerprint: each.statement.execute_seconds for each in served}
    saved = sum(taken[each.fingerprint] * _saved_share(each) for each in evidence)
    if saved >= ERROR_SHARE * captured_seconds:
        return Severity.ERROR
    return Severity.WARNING if saved >= INFO_SHARE * captured_seconds else Severity.INFO


def _saved_share(evidence: Evidence) -> float:
    if evidence.seconds_before and evidence.seconds_after is not None:
        return 1 - evidence.seconds_after / evidence.seconds_before
    if evidence.cost_after is not None:
        return 1 - evidence.cost_after / evidence.cost_before
    return 0.0  # unverified: nothing is promised


def _call_sites(served: Sequence[Subject]) -> tuple[CallSite, ...]:
    return tuple(site for each in served for site in each.statement.call_sites[:3])


def _free_name(spec: IndexSpec, catalog: Catalog) -> str:
    taken = {
        name
        for table in catalog.tables.values()
        if table.schema == spec.schema
        for name in (table.name, *(index.name for index in table.indexes))
    }
    names = [spec.name, *(f"{spec.name[:60]}_{number}" for number in range(2, 100))]
    return next(name for name in names if name not in taken)


def _write_cost(spec: IndexSpec, table: Table, subjects: Sequence[Subject]) -> str:
    """What the captured writes of the table will pay."""
    inserts = updates = 0
    for subject in subjects:
        target = subject.facts.tables[0].name if subject.facts.tables else ""
        if target != table.name:
            continue
        written = {column.name for column in subject.facts.columns if Role.WRITTEN in column.roles}
        if subject.facts.kind == "insert":
            inserts += subject.statement.calls
        elif subject.facts.kind == "update" and written & set(spec.columns):
            updates += subject.statement.calls
    if not inserts and not updates:
        return "no captured statement inserts into the table or updates these columns"
    return (
        f"one more index to maintain for {inserts:,} captured INSERTs and {updates:,} UPDATEs of its columns"
    )
