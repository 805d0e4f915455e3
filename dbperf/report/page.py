"""What stands on the HTML page: a report as frozen data that a template only has to loop over.

Everything that can be long is cut, here and in the modules of the parts: any report gives a page to open.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dbperf.model.recommendation import Severity
from dbperf.model.report import Report, Skipped
from dbperf.model.runtime import operations
from dbperf.report.card import CARDS, Bar, Card, bars, card, sentence, short
from dbperf.report.connections import OF_WHOM, connections
from dbperf.report.format import duration, percent_change, plural
from dbperf.report.layout import clipped
from dbperf.report.operationrows import OperationTable, operation_rows
from dbperf.report.order import reasons
from dbperf.report.rows import STATEMENTS, Table, table
from dbperf.report.words import (
    HOW_TO_RECORD,
    LEVELS,
    LIMITS,
    about,
    before_after,
    cost_savings,
    coverage_counts,
    coverage_notes,
    database_name,
    headline,
    replayed_seconds,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the first screen and what it is; `bars` draw it."""

    label: str
    number: str
    told: str
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why statements were skipped, and which: their SQL and their row in the table."""

    told: str
    statements: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page, from the top."""

    title: str
    headline: str
    about: str
    figures: tuple[Figure, ...]
    cards: tuple[Card, ...]
    cards_left_out: str
    table: Table
    how_to_record: str
    operations: OperationTable | None
    connections: tuple[tuple[str, str], ...]
    of_whom: str
    coverage: str
    notes: tuple[str, ...]
    reasons: tuple[Reason, ...]
    levels: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]


def page(report: Report) -> Page:
    """What a reader sees of a report."""
    statements = table(report)
    fingerprints = (each.statement.fingerprint for each in report.statements)
    anchors = {
        fingerprint: row.anchor for fingerprint, row in zip(fingerprints, statements.rows, strict=False)
    }
    more = len(report.recommendations) - CARDS
    return Page(
        title=f"dbperf: {clipped(database_name(report.target.database), 100)}",
        headline=sentence(headline(report)),
        about=sentence(about(report)),
        figures=tuple(_figures(report)),
        cards=tuple(
            card(number, each, report, anchors)
            for number, each in enumerate(report.recommendations[:CARDS], start=1)
        ),
        cards_left_out=f"{plural(more, 'more finding')}: --format json has them all" if more > 0 else "",
        table=statements,
        how_to_record="" if report.statements else HOW_TO_RECORD,
        operations=operation_rows(found) if (found := operations(report.figures)) else None,
        connections=tuple((label, sentence(text)) for label, text in connections(report.figures)),
        of_whom=OF_WHOM,
        coverage=coverage_counts(report.coverage),
        notes=tuple(map(sentence, coverage_notes(report.coverage))),
        reasons=tuple(_reasons(report, anchors)),
        levels=tuple((level.value, meaning) for level, meaning in LEVELS.items()),
        limits=LIMITS,
    )


def _figures(report: Report) -> Iterator[Figure]:
    total, saved = report.seconds, report.recoverable_seconds
    if report.applied:
        before, after = replayed_seconds(report)
        times, change = before_after(before, after)
        yield Figure("The same traffic, measured", times, change, bars(before, after))
    elif 0 < saved <= total < math.inf:
        told = f"{saved / total:.0%} of the {duration(total)} captured"
        yield Figure("Can be saved, measured", duration(saved), told, (Bar("part", saved / total),))
    elif report.recommendations:
        yield Figure("Can be saved, measured", "unknown", "no statement was timed with and without a change")
    for saving in cost_savings(report):
        if change := percent_change(saving.before, saving.after):
            told = f"for {plural(saving.statements, 'statement')} not timed; a cost is no time"
            yield Figure(sentence(saving.label), change, told)
    if report.recommendations:
        counts = Counter(each.severity for each in report.recommendations)
        worst_first = [severity for severity in reversed(Severity) if counts[severity]]
        told = ", ".join(
            f"{counts[severity]:,} info" if severity is Severity.INFO else plural(counts[severity], severity)
            for severity in worst_first
        )
        yield Figure("Findings", f"{len(report.recommendations):,}", told)
    coverage = report.coverage
    if coverage.seen and (coverage.explained or coverage.skipped):
        share = min(coverage.explained / coverage.seen, 1.0)
        told = f"of {plural(coverage.seen, 'statement')}"
        drawn = (Bar("explained", share),) if share else ()
        yield Figure("Explained", f"{coverage.explained:,}", told, drawn)


def _reasons(report: Report, anchors: dict[str, str]) -> Iterator[Reason]:
    room = STATEMENTS
    for reason, skipped in reasons(report.coverage):
        told = f"{len(skipped):,} skipped: {sentence(reason)}"
        yield Reason(told, tuple(_link(each, anchors) for each in skipped[:room]))
        room -= min(room, len(skipped))


def _link(skipped: Skipped, anchors: dict[str, str]) -> tuple[str, str]:
    return short(skipped.sql), anchors.get(skipped.fingerprint, "")
