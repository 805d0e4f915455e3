"""One recommendation on the terminal: where, what to run, what it gains, how that was proven."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from dbperf.model.recommendation import Evidence, Recommendation, Severity
from dbperf.model.report import Report
from dbperf.report.format import plural
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
from dbperf.report.order import application_lines, ranked_evidence
from dbperf.report.words import before_after, cost_change, facts, parameters_used, plan_change, stake

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
    ranked = ranked_evidence(recommendation)
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
    times, change = before_after(before, after)
    return Text.assemble(
        times, (f", {change}" if change else "", "green" if change.endswith("faster") else "")
    )


def _sites(recommendation: Recommendation, width: int) -> Iterator[Text]:
    lines = application_lines(recommendation)
    for line in lines[:_SITES]:
        function = clipped(one_line(line.function), width // 3)
        tail = ", ".join(filter(None, (function, plural(line.calls, "call") if line.calls else "")))
        where = clipped_left(printable(line.place), width - len(_INDENT) - cell_len(tail) - 1)
        yield Text.assemble(_INDENT, (where, "bold"), f" {tail}" if tail else "")
    if (more := len(lines) - _SITES) > 0:
        yield Text(f"{_INDENT}and {plural(more, 'more line')} of the application", LABEL)


def _evidence(evidence: Evidence, width: int) -> Iterator[Text]:
    inner = width - len(_INDENT) - 2
    # Two lines of SQL at most: enough to recognise a statement, and to see the next finding too.
    for line in folded(short_sql(evidence.sql, inner * 2 - inner // 4), inner):
        yield Text(f"{_INDENT}{line}")
    if evidence.usage:
        yield from paragraph(evidence.usage, width, f"{_INDENT}  ")
        return
    calls = f"{_INDENT}  {plural(evidence.calls, 'call')}: " if evidence.calls else f"{_INDENT}  "
    if evidence.seconds_before is not None and evidence.seconds_after is not None:
        yield Text.assemble(
            calls, _before_after(evidence.seconds_before, evidence.seconds_after), " (measured)"
        )
    else:
        why = f": {one_line(evidence.not_timed)}" if evidence.not_timed else ""
        yield Text.assemble(calls, f"not timed{why}")
    if evidence.cost_before is not None:
        change = cost_change(evidence.cost_before, evidence.cost_after, evidence.cost_unit)
        yield from paragraph(f"{change}, {parameters_used(evidence)}", width, f"{_INDENT}  ", LABEL)
    yield from paragraph(plan_change(evidence), width, f"{_INDENT}  ", LABEL)


def _facts(recommendation: Recommendation, environment: str) -> Iterator[tuple[str, str]]:
    fix = recommendation.fix.strip()
    if fix and "\n" not in fix and fix not in recommendation.ddl:
        yield "In code", fix
    yield from facts(recommendation, environment)
