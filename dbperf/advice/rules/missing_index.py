"""DBP101 missing-index: a statement reads far more of a table than it needs, and an index would spare that.

**Why it matters.** Without an index that fits, the database reads the whole table to find a few rows, or
sorts what an index keeps sorted. The cost grows with the table: the classic of "it was fast last year".

**How it is found.** Candidate indexes come from what the captured statements do with their columns: equality
first, then the sort, then a range. Each candidate is really built in a transaction that is rolled back (on
staging or a disposable database only), and every statement of its table is planned with several parameter
sets. An index that serves several statements is one recommendation. One that is, or is a prefix of, an
existing index is never advised, nor one that no plan uses.

**How it is proven.** With `--verify`, the statements are executed with and without the index in turn: one
that turns out not to be faster is not advised, nor one that slows another statement by more than a tenth.
Without a database where an index may be built, a finding says `unverified` and what is missing for a proof.

**In SQLite** each candidate is built on a copy of the file. The planner prints no cost there, so statements
are executed on the copy and the steps of SQLite's virtual machine are counted, up to 20 million: they are
the same at every run, and no time. An index must spare nine tenths of them, for a lookup through an index
is few steps and much work.

**What to weigh.** Every index costs disk, and time on each INSERT, and on each UPDATE of its columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbperf.advice.ddl import free_name, model_code
from dbperf.advice.indexes.search import Trial
from dbperf.advice.indexes.write_cost import write_cost
from dbperf.advice.severity import severity
from dbperf.advice.subject import Subject, mean_cost
from dbperf.advice.verify import Timing, why_not_timed
from dbperf.model.catalog import Catalog, Table
from dbperf.model.index import IndexSpec, quoted
from dbperf.model.plan import Plan
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.workload import CallSite
from dbperf.plans.whatif import WhatIfIndex

CODE, SLUG = "DBP101", "missing-index"

SLOWER = 1.1
"""An index that makes any statement this many times slower is not advised; nor one that makes none faster."""
NOISE_SECONDS = 0.0005

Timings = Mapping[str, Timing | str]


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one proposed index: the statements it serves, by fingerprint, with their plans.

    `timings` of those that were executed, or why one was not.
    """

    spec: IndexSpec
    plans: Mapping[str, Sequence[Plan]]
    method: str
    index: WhatIfIndex | None = None
    timings: Timings = field(default_factory=dict)


def proofs(
    chosen: Trial, subjects: Sequence[Subject], timings: Mapping[IndexSpec, Timings], method: str
) -> tuple[Proof, ...]:
    """One proof for each chosen index, with the statements that it serves."""
    return tuple(
        Proof(
            index.spec,
            {
                each.statement.fingerprint: chosen.plans[each.statement.fingerprint]
                for each in subjects
                if index in chosen.serves(each)
            },
            method,
            index,
            timings.get(index.spec, {}),
        )
        for index in chosen.indexes
    )


def rejection(executed: Timings) -> str:
    """Why execution speaks against an index, empty if it does not (or nothing was executed)."""
    timings = [each for each in executed.values() if isinstance(each, Timing)]
    slower = [
        timing
        for timing in timings
        if timing.after > timing.before * SLOWER and timing.after - timing.before > NOISE_SECONDS
    ]
    if slower:
        worst = min(slower, key=lambda timing: timing.factor)
        return f"executed, it made a statement {1 / worst.factor:.1f}x slower"
    if timings and not any(timing.factor >= SLOWER for timing in timings):
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
        key=lambda each: -each.statement.seconds,
    )
    name = free_name(spec, catalog)
    evidence = tuple(_evidence(each, proof, catalog, name) for each in served)
    partitioned = table.kind == "p"
    concurrently = catalog.dialect == "postgresql" and not partitioned
    return Recommendation(
        id=_identity(spec.qualified, [key.sql() for key in spec.keys]),
        code=CODE,
        slug=SLUG,
        severity=_severity(evidence, served, captured_seconds),
        title=f"{spec.table} has no index on ({_keys(spec)}){_beside(spec, table)}",
        tables=(spec.qualified,),
        statements=tuple(each.statement.fingerprint for each in served),
        call_sites=_call_sites(served),
        ddl=(spec.ddl(name=name, concurrently=concurrently) + ";",),
        fix=model_code(spec, name),
        evidence=evidence,
        verification=_verification(proof, evidence, catalog),
        write_cost=write_cost(spec, subjects),
        size_bytes=proof.index.size_bytes if proof.index else None,
        risk=_RISK if concurrently else _RISK_PARTITIONED if partitioned else _RISK_SQLITE,
    )


def _keys(spec: IndexSpec) -> str:
    return ", ".join(f"{key.column} {key.opclass}".strip() for key in spec.keys)


def _beside(spec: IndexSpec, table: Table) -> str:
    """An index that starts with the same column and yet does not serve, and why."""
    for index in table.indexes:
        if index.keys[:1] == spec.columns[:1] and not index.plain:
            if not index.valid:
                why = "is invalid"
            elif index.predicate:
                why = f"holds only rows WHERE {index.predicate}"
            else:
                why = f"is a {index.method} index" if index.method != "btree" else "sorts in another way"
            return f" ({index.name} {why})"
    return ""


_RISK = (
    "CREATE INDEX CONCURRENTLY blocks no writes, but cannot run in a transaction; "
    "interrupted, it leaves an INVALID index to drop"
)
_RISK_PARTITIONED = (
    "on a partitioned table CREATE INDEX cannot be CONCURRENTLY: it blocks writes while it runs"
)
_RISK_SQLITE = "while CREATE INDEX runs, nobody else can write to the file"


def _identity(table: str, keys: Sequence[str]) -> str:
    return f"{CODE}:{table}({','.join(keys)})"


def is_applied(identity: str, ddl: Sequence[str], catalog: Catalog) -> bool:
    """Whether an index that was advised is there by now, under the name proposed or any other."""
    for table in catalog.tables.values():
        for index in table.indexes if identity.startswith(f"{CODE}:{table.qualified}(") else ():
            named = any(f" {quoted(index.name)} ON " in each for each in ddl)
            down = index.descending or (False,) * len(index.keys)
            keys = [quoted(key) + " DESC" * desc for key, desc in zip(index.keys, down, strict=False)]
            leads = any(
                _identity(table.qualified, keys[:size]) == identity for size in range(1, len(keys) + 1)
            )
            if index.valid and (named or (leads and index.plain)):
                return True
    return False


def _evidence(subject: Subject, proof: Proof, catalog: Catalog, name: str) -> Evidence:
    statement = subject.statement
    plans = proof.plans[statement.fingerprint]
    before, after = _scans(subject, proof, name)
    timing = proof.timings.get(statement.fingerprint) or why_not_timed(subject, catalog)
    return Evidence(
        fingerprint=statement.fingerprint,
        sql=statement.sql,
        calls=statement.calls,
        parameters=subject.sets.origin,
        parameter_sets=len(subject.sets.samples),
        plan_before=before,
        plan_after=after,
        cost_before=subject.cost,
        cost_after=mean_cost(plans) if plans else None,
        cost_unit=subject.unit.name,
        seconds_before=timing.before if isinstance(timing, Timing) else None,
        seconds_after=timing.after if isinstance(timing, Timing) else None,
        not_timed="" if isinstance(timing, Timing) else timing,
    )


def _scans(subject: Subject, proof: Proof, name: str) -> tuple[str, str]:
    """How the table is read without and with the index, which is shown under the `name` that is proposed."""
    shown = proof.index.shown if proof.index else frozenset()
    table = proof.spec.table
    for before, after in zip(subject.plans, proof.plans[subject.statement.fingerprint], strict=False):
        for scan in after.scans():
            if shown.intersection(scan.using):
                return before.scan_of(table, scan.alias), f"{scan.kind} on {scan.relation} using {name}"
    return subject.plans[0].scan_of(table), ""


def _verification(proof: Proof, evidence: Sequence[Evidence], catalog: Catalog) -> Verification:
    measured = [each for each in evidence if each.seconds_before is not None]
    planned = all(each.cost_after is not None for each in evidence)
    level = Level.MEASURED if measured else Level.WHAT_IF if planned else Level.UNVERIFIED
    return Verification(
        level=level,
        method=proof.method + _EXECUTED if measured else proof.method,
        cost_before=_mean((each.cost_before or 0.0, each.calls) for each in evidence),
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
    taken = {each.statement.fingerprint: each.statement.seconds for each in served}
    saved = sum(taken[each.fingerprint] * _saved_share(each) for each in evidence)
    return severity(saved, captured_seconds)


def _saved_share(evidence: Evidence) -> float:
    if (measured := evidence.saved_share) is not None:
        return measured
    if evidence.cost_before and evidence.cost_after is not None:
        return 1 - evidence.cost_after / evidence.cost_before
    return 0.0  # unverified: nothing is promised


def _call_sites(served: Sequence[Subject]) -> tuple[CallSite, ...]:
    return tuple(site for each in served for site in each.statement.call_sites[:3])
