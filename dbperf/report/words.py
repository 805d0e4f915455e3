"""The sentences that every renderer says alike."""

from __future__ import annotations

import math
import re
from collections import Counter

from dbperf.model.recommendation import Evidence, Level, Recommendation
from dbperf.model.report import Report
from dbperf.report.format import duration, factor, plural

_ADDRESS = re.compile(r"(.+)/(\d+)/([^/]+)")
_UNTIMED = {
    Level.MEASURED: "measured",
    Level.WHAT_IF: "the planner's what-if, nothing timed",
    Level.ESTIMATED: "estimated, nothing tried",
    Level.UNVERIFIED: "not verified",
}


def headline(report: Report) -> str:
    """The whole report in one sentence. Seconds in it were measured; a planner cost is never in it."""
    if not report.recommendations:
        return _no_finding(report)
    findings = _findings(report.recommendations)
    if report.applied:
        before, after = replayed_seconds(report)
        change = ", ".join(part for part in (factor(before, after), "measured") if part)
        return f"{findings}, applied: {duration(before)} → {duration(after)} for the same traffic ({change})"
    if (saved := report.recoverable_seconds) > 0:
        total = duration(report.execute_seconds)
        proof = "measured" + _unmeasured(report.recommendations)
        return f"{findings}: {duration(saved)} of the {total} captured can be saved ({proof})"
    levels = {each.verification.level for each in report.recommendations}
    weakest = max(levels, key=list(Level).index)
    return f"{findings} ({_UNTIMED[weakest]})"


def replayed_seconds(report: Report) -> tuple[float, float]:
    """Seconds before and after the advice was applied, over the statements that ran both times."""
    both = [(each.statement.execute_seconds, each.after) for each in report.statements]
    ran = [(before, after.execute_seconds) for before, after in both if after]
    return sum(before for before, _ in ran), sum(after for _, after in ran)


def stake(recommendation: Recommendation, report: Report) -> str:
    """What a recommendation can save of the captured time; where nothing was timed, the time it is about."""
    total = report.execute_seconds
    taken = {each.statement.fingerprint: each.statement.execute_seconds for each in report.statements}
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
    if recommendation.verification.level is Level.MEASURED:
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


def _no_finding(report: Report) -> str:
    explained, seen = report.coverage.explained, report.coverage.seen
    if not report.statements:
        return "Nothing to judge: the workload has no statement for this database"
    if not explained:
        return f"Nothing could be judged: 0 of {plural(seen, 'statement')} could be explained"
    if explained < seen:
        judged = f"{explained:,} of {plural(seen, 'statement')}"
        return f"Nothing to change in what could be explained: {judged}, no finding"
    return f"Nothing to change: {plural(seen, 'statement')} explained, no finding"


def _findings(recommendations: tuple[Recommendation, ...]) -> str:
    # Only the index rules have a name that is a thing one can count ("3 missing indexes").
    names = Counter(
        each.slug.replace("-", " ") if each.code.startswith("DBP1") else "finding" for each in recommendations
    )
    if len(names) > 1 and "finding" in names:
        names["other finding"] = names.pop("finding")
    return ", ".join(plural(number, name) for name, number in names.items())


def _unmeasured(recommendations: tuple[Recommendation, ...]) -> str:
    missing = sum(each.verification.level is not Level.MEASURED for each in recommendations)
    return f"; {missing} of {plural(len(recommendations), 'finding')} not measured" if missing else ""
