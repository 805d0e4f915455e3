"""One recommendation on the terminal: where, what to run, what it gains, how that was proven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from dbperf.model.recommendation import Evidence, Recommendation, Severity
from dbperf.model.report import Report
from dbperf.report.format import cost, duration, factor, place, plural, size
from dbperf.report.layout import (
    LABEL,
    clipped,
    clipped_left,
    copyable,
    folded,
    one_line,
    paragraph,
    printable,
    short_sql,
)
from dbperf.report.words import parameters_used, proof_hint, stake

# Both colours of a badge are set, so that it reads on a light and on a dark background.
_BADGES = {
    Severity.INFO: "white on blue",
    Severity.WARNING: "black on yellow",
    Severity.ERROR: "white on red",
}

_SITES = 5
_STATEMENTS = 5
_INDENT = "    "
_WORTH_A_REFERENCE = 40
"""A sentence no longer than this, in characters, is said again rather than referred to."""
_LABELS = 8
"""Cells of the longest label."""


def finding(
    number: int, recommendation: Recommendation, report: Report, width: int, told: dict[str, int]
) -> Iterator[Text]:
    """The lines of a recommendation, at most `width` cells wide but for the code to copy.

    `told` remembers which finding said a sentence first: a later one refers to it.
    """
    heading = Text(f"{f'#{number}':<{len(_INDENT)}}", "bold")
    yield from paragraph(recommendation.title, width, heading, "bold")
    severity, matters = recommendation.severity, stake(recommendation, report)
    badge = Text.assemble(_INDENT, (severity.value, _BADGES[severity]), "  ")
    yield from paragraph(": ".join(filter(None, (recommendation.code, matters))), width, badge)
    yield from _sites(recommendation, width)
    if recommendation.ddl:
        yield Text()
        for each in recommendation.ddl:
            yield from copyable(each, len(_INDENT))
    if "\n" in recommendation.fix.strip():
        yield Text()
        yield from copyable(recommendation.fix, len(_INDENT))
    ranked = sorted(recommendation.evidence, key=_gain, reverse=True)
    for evidence in ranked[:_STATEMENTS]:
        yield Text()
        yield from _evidence(evidence, width)
    if (more := len(ranked) - _STATEMENTS) > 0:
        yield Text(f"{_INDENT}and {plural(more, 'more statement')} with a smaller gain", LABEL)
    yield Text()
    for label, text in _facts(recommendation, report.target.environment):
        first = told.setdefault(text, number) if len(text) > _WORTH_A_REFERENCE else number
        prefix = Text.assemble(_INDENT, (f"{label:<{_LABELS}}", LABEL), "  ")
        yield from paragraph(text if first == number else _as_before(text, first), width, prefix)


def _as_before(text: str, first: int) -> str:
    level, colon, _ = text.partition(": ")
    return f"{level}, as #{first}" if colon else f"as #{first}"


def _before_after(before: float, after: float) -> Text:
    """`34.3 ms → 120 µs, 286x faster`, coloured where it is a gain."""
    change = factor(before, after)
    style = "green" if change.endswith("faster") else ""
    return Text.assemble(f"{duration(before)} → {duration(after)}", (f", {change}" if change else "", style))


def _sites(recommendation: Recommendation, width: int) -> Iterator[Text]:
    calls: Counter[tuple[str, str]] = Counter()  # one line often runs several of the statements served
    for site in recommendation.call_sites:
        calls[printable(place(site)), clipped(one_line(site.function), width // 3)] += site.calls
    for (line, function), number in calls.most_common(_SITES):
        tail = ", ".join(filter(None, (function, plural(number, "call") if number else "")))
        where = clipped_left(line, width - len(_INDENT) - cell_len(tail) - 1)
        yield Text.assemble(_INDENT, (where, "bold"), f" {tail}" if tail else "")
    if (more := len(calls) - _SITES) > 0:
        yield Text(f"{_INDENT}and {plural(more, 'more line')} of the application", LABEL)


def _evidence(evidence: Evidence, width: int) -> Iterator[Text]:
    inner = width - len(_INDENT) - 2
    # Two lines of SQL at most: enough to recognise a statement, and to see the next finding too.
    for line in folded(short_sql(evidence.sql, inner * 2 - inner // 4), inner):
        yield Text(f"{_INDENT}{line}")
    calls = f"{_INDENT}  {plural(evidence.calls, 'call')}: " if evidence.calls else f"{_INDENT}  "
    if evidence.seconds_before is not None and evidence.seconds_after is not None:
        yield Text.assemble(
            calls, _before_after(evidence.seconds_before, evidence.seconds_after), " (measured)"
        )
    else:
        why = f": {one_line(evidence.not_timed)}" if evidence.not_timed else ""
        yield Text.assemble(calls, f"not timed{why}")
    estimate = f"{_cost_change(evidence.cost_before, evidence.cost_after)}, {parameters_used(evidence)}"
    yield from paragraph(estimate, width, f"{_INDENT}  ", LABEL)
    plans = f"{evidence.plan_before} → {evidence.plan_after}" if evidence.plan_after else evidence.plan_before
    yield from paragraph(plans, width, f"{_INDENT}  ", LABEL)


def _cost_change(before: float, after: float | None) -> str:
    change = f"{cost(before)} → {cost(after)}" if after is not None else cost(before)
    return f"planner cost {change} (estimate, not time)"


def _overall(recommendation: Recommendation) -> str:
    """The effect over all statements, where no single one already says it."""
    proof = recommendation.verification
    if len(recommendation.evidence) == 1:
        return ""
    if proof.seconds_before is not None and proof.seconds_after is not None:
        return f"{_before_after(proof.seconds_before, proof.seconds_after).plain} for a mean call (measured)"
    if proof.cost_before is not None:
        return f"{_cost_change(proof.cost_before, proof.cost_after)} for a mean call"
    return ""


def _facts(recommendation: Recommendation, environment: str) -> Iterator[tuple[str, str]]:
    """Labelled sentences; those that do not apply are left out."""
    proof, fix = recommendation.verification, recommendation.fix.strip()
    version = f", on server version {proof.server_version}" if proof.server_version else ""
    method = f": {proof.method}" if proof.method else ""
    facts = [
        ("In code", "" if "\n" in fix or fix in recommendation.ddl else fix),
        ("Overall", _overall(recommendation)),
        ("Proof", f"{proof.level.value}{method}{version}"),
        ("To prove", proof_hint(recommendation, environment)),
        ("Size", "" if recommendation.size_bytes is None else size(recommendation.size_bytes)),
        ("Writes", recommendation.write_cost),
        ("Risk", recommendation.risk),
    ]
    return ((label, text) for label, text in facts if text)


def _gain(evidence: Evidence) -> tuple[float, float]:
    seconds = (evidence.seconds_before or 0.0) - (evidence.seconds_after or 0.0)
    units = evidence.cost_before - evidence.cost_after if evidence.cost_after is not None else 0.0
    calls = max(evidence.calls, 1)  # a statement that was given and not captured has none
    return seconds * calls, units * calls
