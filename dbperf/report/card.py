"""One recommendation on the HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbperf.model.recommendation import Evidence, Recommendation
from dbperf.model.report import Report
from dbperf.report.format import percent_change, plural
from dbperf.report.layout import clipped, clipped_left, code_lines, one_line, short_sql
from dbperf.report.order import application_lines, ranked_evidence
from dbperf.report.words import (
    before_after,
    cost_change,
    facts,
    parameters_used,
    plan_change,
    stake,
)

_SITES, _EVIDENCE, _SHOWN = 5, 20, 3
CARDS = 50
"""As many recommendations are shown."""
SHORT, LONGEST = 240, 20_000
"""Characters of a statement on one line, and of code with its own lines."""
_READ, _SENTENCE = 3000, 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """A share, 0 to 1, drawn; `kind` (part, explained, before, after) colours it."""

    kind: str
    share: float

    @property
    def width(self) -> str:
        """Of 100; never so little that it cannot be seen."""
        return f"{max(1.0, 100 * self.share):.1f}"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What a change does to one statement. `anchor` is its row in the table, "" if it has none."""

    sql: str
    anchor: str
    number: str
    told: str
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A recommendation; `blocks` are to be copied, each under its label."""

    number: int
    title: str
    severity: str
    level: str
    stake: str
    code: str
    sites: tuple[tuple[str, str], ...]
    more_sites: str
    blocks: tuple[tuple[str, str], ...]
    exhibits: tuple[Exhibit, ...]
    more_exhibits: tuple[Exhibit, ...]
    more_told: str
    exhibits_left_out: str
    facts: tuple[tuple[str, str], ...]


def card(number: int, recommendation: Recommendation, report: Report, anchors: Mapping[str, str]) -> Card:
    """A recommendation as it is shown; `anchors` are the rows of the table by fingerprint."""
    lines = application_lines(recommendation)
    more_lines = len(lines) - _SITES
    ranked = ranked_evidence(recommendation)
    exhibits = [_exhibit(each, anchors) for each in ranked[:_EVIDENCE]]
    left_out = len(ranked) - len(exhibits)
    return Card(
        number=number,
        title=sentence(recommendation.title),
        severity=recommendation.severity.value,
        level=recommendation.verification.level.value,
        stake=stake(recommendation, report),
        code=sentence(f"{recommendation.code} {recommendation.slug}"),
        sites=tuple(
            (clipped_left(each.place, 200), _called(each.function, each.calls)) for each in lines[:_SITES]
        ),
        more_sites=f"and {plural(more_lines, 'more line')} of the application" if more_lines > 0 else "",
        blocks=tuple(_blocks(recommendation)),
        exhibits=tuple(exhibits[:_SHOWN]),
        more_exhibits=tuple(exhibits[_SHOWN:]),
        more_told=f"{plural(len(exhibits) - _SHOWN, 'more statement')} with a smaller gain",
        exhibits_left_out=f"and {plural(left_out, 'more statement')}: --format json has them all"
        if left_out
        else "",
        facts=tuple(
            (label, sentence(text)) for label, text in facts(recommendation, report.target.environment)
        ),
    )


def bars(before: float, after: float) -> tuple[Bar, ...]:
    """Two times to compare; none where they cannot be."""
    longest = max(before, after)
    if not (0 < longest < math.inf and min(before, after) >= 0):
        return ()
    return Bar("before", before / longest), Bar("after", after / longest)


def short(sql: str) -> str:
    """A statement on one line, with what tells it from others."""
    return short_sql(sql[:_READ], SHORT)


def code(text: str) -> str:
    """Code with its own lines; where it is very long its end is cut, and that is told in it."""
    shown = "\n".join(code_lines(text[:LONGEST]))
    if (more := len(text) - LONGEST) > 0:
        shown += f"\n… and {plural(more, 'more character')}: --format json has them all"
    return shown


def sentence(text: str) -> str:
    """Prose that may quote anything: on one line, and never longer than 1,000 cells."""
    return clipped(one_line(text[: 2 * _SENTENCE]), _SENTENCE)


def _called(function: str, calls: int) -> str:
    return ", ".join(filter(None, (clipped(one_line(function), 100), plural(calls, "call") if calls else "")))


def _blocks(recommendation: Recommendation) -> list[tuple[str, str]]:
    """The DDL in one block, to run from top to bottom, and the code of the application."""
    ddl = "\n".join(each.strip() for each in recommendation.ddl)
    fix = recommendation.fix.strip()
    blocks = [("DDL", ddl), ("In code", "" if fix in recommendation.ddl else fix)]
    return [(label, code(text)) for label, text in blocks if text]


def _exhibit(evidence: Evidence, anchors: Mapping[str, str]) -> Exhibit:
    number, told, drawn = _effect(evidence)
    return Exhibit(
        sql=short(evidence.sql),
        anchor=anchors.get(evidence.fingerprint, ""),
        number=number,
        told=sentence(told),
        bars=drawn,
        notes=tuple(map(sentence, _notes(evidence))),
    )


def _notes(evidence: Evidence) -> Iterator[str]:
    if evidence.cost_before is None:
        return
    calls = f"{plural(evidence.calls, 'call')}, " if evidence.calls else ""
    change = cost_change(evidence.cost_before, evidence.cost_after, evidence.cost_unit)
    yield f"{calls}{parameters_used(evidence)}; {change}"
    yield plan_change(evidence)


def _effect(evidence: Evidence) -> tuple[str, str, tuple[Bar, ...]]:
    """The number that counts, what it is, and how it is drawn: measured time, else the cost."""
    if evidence.usage:
        return "", evidence.usage, ()
    before, after = evidence.seconds_before, evidence.seconds_after
    if before is not None and after is not None:
        times, change = before_after(before, after)
        return times, ", ".join(filter(None, (change, "measured"))), bars(before, after)
    why = f"not timed: {evidence.not_timed}" if evidence.not_timed else "not timed"
    if evidence.cost_before is None or evidence.cost_after is None:
        return "", why, ()
    change = percent_change(evidence.cost_before, evidence.cost_after)
    return sentence(f"{evidence.cost_unit} {change}") if change else "", f"a cost, not a time; {why}", ()
