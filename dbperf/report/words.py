"""The sentences that every renderer says alike."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dbperf.model.facts import Complexity
from dbperf.model.recommendation import Evidence, Level, Recommendation
from dbperf.model.report import Coverage, Report, StatementReport
from dbperf.report.format import cost, duration, factor, plural, size
from dbperf.report.unseen import unseen

HOW_TO_RECORD = (
    "Run the application under dbperf record, or on dbperf.create_engine(url) and save its workload; or give "
    "statements with --sql FILE."
)
"""Said where a report has no statement."""

SLOWEST_FIRST = "slowest in total first"
COMPLEX = 50
"""Scores from which on a short report tells how complex a statement is."""
# Why a statement's change here is not the one of its finding.
SAME_TRAFFIC = f"the same traffic, as the application waited for it; {SLOWEST_FIRST}"

LEVELS = {
    Level.MEASURED: "The statements were executed with and without the change, in turn, and timed.",
    Level.WHAT_IF: "The database planned the statements with the change in place. What it saves is a "
    "cost: only timing them shows what that is in seconds.",
    Level.ESTIMATED: "Worked out from what was measured of the traffic; nothing was tried.",
    Level.UNVERIFIED: "Follows from the statement and its plan; nothing was tried.",
}
"""What each verification level means."""
LIMITS = (
    "Times are those the application waited for the database, measured in its own process; "
    "those of pg_stat_statements are the server's own. A cost is no time and is never added to one.",
    "What a statement took in total is executing and fetching; its mean and p95 are of executing alone. "
    "Waiting for a connection is told apart.",
    "What can be saved counts each statement once, with its best recommendation alone.",
    "A 95th percentile (p95) is within 6 % of the time it tells.",
    "Captured statements are shown as templates, without their values; those of a file as they stand in it.",
    "Advice is for the traffic captured: what did not run then was not judged.",
)
"""What a reader of figures must know."""

_ADDRESS = re.compile(r"(.+)/(\d+)/([^/]+)")
_UNTIMED = {
    Level.MEASURED: "measured",
    Level.WHAT_IF: "what-if, nothing timed",
    Level.ESTIMATED: "estimated, nothing tried",
    Level.UNVERIFIED: "not verified",
}


def headline(report: Report) -> str:
    """The whole report in one sentence. Seconds in it were measured; a cost is never in it."""
    if not report.recommendations:
        return _no_finding(report)
    findings = _findings(report.recommendations)
    if report.applied:
        before, after = replayed_seconds(report)
        change = ", ".join(part for part in (factor(before, after), "measured") if part)
        applied = tuple(each for each in report.recommendations if each.ddl and each.proven)
        more = plural(rest, "more finding") if (rest := len(report.recommendations) - len(applied)) else ""
        times = f"{duration(before)} → {duration(after)} for the same traffic ({change})"
        return "; ".join(filter(None, (f"{_findings(applied)}, applied: {times}", more)))
    if (saved := report.recoverable_seconds) > 0:
        total = duration(report.seconds)
        proof = "measured" + _unmeasured(report.recommendations)
        return f"{findings}: {duration(saved)} of the {total} captured can be saved ({proof})"
    levels = {each.verification.level for each in report.recommendations}
    weakest = max(levels, key=list(Level).index)
    return f"{findings} ({_UNTIMED[weakest]})"


def about(report: Report) -> str:
    """What the report is of: the database, its server, and the traffic captured."""
    target = report.target
    calls = sum(each.statement.calls for each in report.statements)
    parts = [
        database_name(target.database),
        server(target.server_version),
        target.environment,
        plural(len(report.statements), "statement"),
        f"{plural(calls, 'call')} in {duration(report.seconds)}" if calls else "no calls captured",
    ]
    return " · ".join(part for part in parts if part)


def statements_left_out(statements: Sequence[StatementReport]) -> str:
    """How many statements are not shown, and what they took."""
    seconds = duration(sum(each.statement.seconds for each in statements))
    return f"{plural(len(statements), 'more statement')}, {seconds} in total: --format json has them all"


def replayed_seconds(report: Report) -> tuple[float, float]:
    """Seconds before and after the advice was applied, over the statements that ran both times."""
    both = [(each.statement.seconds, each.after) for each in report.statements]
    ran = [(before, after.seconds) for before, after in both if after]
    return sum(before for before, _ in ran), sum(after for _, after in ran)


def stake(recommendation: Recommendation, report: Report) -> str:
    """What a recommendation can save of the captured time; where nothing was timed, the time it is about."""
    total = report.seconds
    if recommendation.code.startswith("DBP5"):  # waiting and pinging are in no statement's time
        spared = sum(each.seconds_saved or 0.0 for each in recommendation.evidence)
        return f"can save {duration(spared)} of what checkouts take (estimated)" if spared else ""
    if (least := sum(each.seconds_saved or 0.0 for each in recommendation.evidence)) and total > 0:
        percent = f"{least / total:.0%}" if least >= total / 100 else "under 1%"
        return f"can save at least {duration(least)} of the {duration(total)} captured ({percent}, estimated)"
    if recommendation.code.startswith("DBP4"):
        return ""
    taken = {each.statement.fingerprint: each.statement.seconds for each in report.statements}
    shares = {each.fingerprint: each.saved_share for each in recommendation.evidence}
    timed = {fingerprint: share for fingerprint, share in shares.items() if share is not None}
    weights = timed or dict.fromkeys(shares, 1.0)
    seconds = sum(taken.get(fingerprint, 0.0) * share for fingerprint, share in weights.items())
    if not (0 < seconds < math.inf and 0 < total < math.inf):
        return ""
    percent = f"{seconds / total:.0%}" if seconds >= total / 100 else "under 1%"
    of_all = f"{duration(seconds)} of the {duration(total)} captured ({percent})"
    return f"can save {of_all}" if timed else f"its statements took {of_all}"


def database_name(database: str) -> str:
    """`host/port/name` as people say it, `shop (db.example.com, port 5432)`; any other name as it is."""
    if not (match := _ADDRESS.fullmatch(database)):
        return database
    host, port, name = match.groups()
    return f"{name} ({'local socket' if host.startswith('/') else host}, port {port})"


def proof_hint(recommendation: Recommendation, environment: str) -> str:
    """What the reader can do to have a recommendation measured; "" when it is, or cannot be."""
    level = recommendation.verification.level
    if level in {Level.MEASURED, Level.ESTIMATED} or not recommendation.code.startswith("DBP1"):
        return ""
    if environment == "production":
        return "analyze a copy of this database with --environment staging --verify"
    if all(each.not_timed for each in recommendation.evidence):
        return ""
    return f"run again with --environment {environment} --verify"


def parameters_used(evidence: Evidence) -> str:
    """With which parameter values a statement was planned and timed."""
    number = evidence.parameter_sets
    return {
        "captured": plural(number, "captured parameter set") if evidence.calls else "the values as given",
        "statistics": f"{plural(number, 'parameter set')} from the table statistics",
        "generic": "generic plan: no parameter values known",
        "none": "no parameters",
    }.get(evidence.parameters, evidence.parameters)


def server(version: str, noun: str = "server") -> str:
    """`server 18.4`; what names itself, as `SQLite 3.40.1` does, is no server."""
    return f"{noun} {version}" if version[:1].isdigit() else version


def before_after(before: float, after: float) -> tuple[str, str]:
    """Two measured durations and what became of them: `34.3 ms → 120 µs`, `286x faster`."""
    return f"{duration(before)} → {duration(after)}", factor(before, after)


def cost_change(before: float, after: float | None, unit: str = "planner cost") -> str:
    """A cost, or two, in the unit of the evidence; it always says that it is no time."""
    change = f"{cost(before)} → {cost(after)}" if after is not None else cost(before)
    return f"{unit} {change} ({_COUNTED.get(unit, 'estimate')}, not time)"


_COUNTED = {"VM steps": "counted on a copy"}


@dataclass(frozen=True, slots=True)
class CostSaving:
    """What findings do to the cost of statements that were not timed, over all their calls."""

    label: str
    before: float
    after: float
    statements: int


def cost_savings(report: Report) -> list[CostSaving]:
    """One for each unit of cost; of each statement its best recommendation alone."""
    found = [each for recommendation in report.recommendations for each in recommendation.evidence]
    timed = {each.fingerprint for each in found if each.saved_share is not None}
    best: defaultdict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for each in found:
        if each.fingerprint in timed or each.cost_before is None or each.cost_after is None:
            continue
        calls = max(each.calls, 1)
        after_before = (each.cost_after * calls, each.cost_before * calls)
        of_unit = best[each.cost_unit]
        of_unit[each.fingerprint] = min(of_unit.get(each.fingerprint, after_before), after_before)
    return [
        CostSaving(
            f"{unit[:1].upper()}{unit[1:]}, {_COUNTED.get(unit, 'estimated')}",
            before=sum(before for _, before in costs.values()),
            after=sum(after for after, _ in costs.values()),
            statements=len(costs),
        )
        for unit, costs in best.items()
    ]


def plan_change(evidence: Evidence) -> str:
    """How the table is read, before and after."""
    return f"{evidence.plan_before} → {evidence.plan_after}" if evidence.plan_after else evidence.plan_before


def facts(recommendation: Recommendation, environment: str) -> list[tuple[str, str]]:
    """Labelled sentences on a recommendation; those that do not apply are left out."""
    proof = recommendation.verification
    version = f", on {server(proof.server_version, 'server version')}" if proof.server_version else ""
    method = f": {proof.method}" if proof.method else ""
    labelled = [
        ("Overall", _overall(recommendation)),
        ("Proof", f"{proof.level.value}{method}{version}"),
        ("To prove", proof_hint(recommendation, environment)),
        ("Size", "" if recommendation.size_bytes is None else size(recommendation.size_bytes)),
        ("Writes", recommendation.write_cost),
        ("Risk", recommendation.risk),
    ]
    return [(label, text) for label, text in labelled if text]


def coverage_counts(coverage: Coverage) -> str:
    """`60 seen, 58 parsed, 57 explained, 3 skipped`; of statements that nobody judged yet, how many."""
    if coverage.seen and not coverage.explained and not coverage.skipped:
        return f"{coverage.seen:,} seen, not judged yet"
    told = f"{coverage.seen:,} seen, {coverage.parsed:,} parsed, {coverage.explained:,} explained"
    return f"{told}, {len(coverage.skipped):,} skipped"


def coverage_notes(coverage: Coverage) -> Iterator[str]:
    """What was left out, what capture did not see, and what it cost."""
    if coverage.other_databases:
        yield f"{plural(coverage.other_databases, 'statement')} recorded on another database, left out"
    yield from coverage.notes
    yield from unseen(coverage.unseen)


def _overall(recommendation: Recommendation) -> str:
    """The effect over all statements, where no single one already says it."""
    proof = recommendation.verification
    if len(recommendation.evidence) == 1:
        return ""
    if proof.seconds_before is not None and proof.seconds_after is not None:
        told = ", ".join(filter(None, before_after(proof.seconds_before, proof.seconds_after)))
        return f"{told} for a mean call (measured)"
    if proof.cost_before is not None:
        unit = next((each.cost_unit for each in recommendation.evidence), "planner cost")
        return f"{cost_change(proof.cost_before, proof.cost_after, unit)} for a mean call"
    return ""


def _no_finding(report: Report) -> str:
    explained, seen = report.coverage.explained, report.coverage.seen
    if not report.target.environment and report.statements:
        return f"{plural(seen, 'statement')}, not judged yet: run dbperf analyze"
    if not report.statements:
        return "Nothing to judge: the workload has no statement for this database"
    if not explained:
        return f"Nothing could be judged: 0 of {plural(seen, 'statement')} could be explained"
    if explained < seen:
        judged = f"{explained:,} of {plural(seen, 'statement')}"
        return f"Nothing to change in what could be explained: {judged}, no finding"
    return f"Nothing to change: {plural(seen, 'statement')} explained, no finding"


def _findings(recommendations: tuple[Recommendation, ...]) -> str:
    names = Counter(_NOUNS.get(each.slug) or _noun(each) for each in recommendations)
    if len(names) > 1 and "finding" in names:
        names["other finding"] = names.pop("finding")
    return ", ".join(plural(number, name) for name, number in names.items())


_NOUNS = {"n-plus-one": "N+1 query", "repeated-query": "repeated query"}


def _noun(recommendation: Recommendation) -> str:
    # Of the others, the index rules alone have a name that is a thing one can count ("3 missing indexes").
    return recommendation.slug.replace("-", " ") if recommendation.code.startswith("DBP1") else "finding"


def _unmeasured(recommendations: tuple[Recommendation, ...]) -> str:
    missing = sum(each.verification.level is not Level.MEASURED for each in recommendations)
    return f"; {missing} of {plural(len(recommendations), 'finding')} not measured" if missing else ""


def complexity(found: Complexity | None) -> str:
    """How much a statement asks for, and of what: `complexity 31 of 100: joins 3, conditions 5`."""
    if not found or not found.score:
        return ""
    parts = ", ".join(f"{name} {count}" for name, count in found.parts.items() if count)
    return f"complexity {found.score} of 100: {parts}"


def scored(found: Complexity | None) -> dict[str, Any] | None:
    """The same as JSON has it."""
    return None if found is None else {"score": found.score, "parts": dict(found.parts)}
