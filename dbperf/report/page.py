"""What stands on the HTML page: a report as frozen data that a template only has to loop over.

Everything that can be long is cut here, so that a page stays below a megabyte whatever a report holds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import escape

from dbperf.model.recommendation import Severity
from dbperf.model.report import Report, Skipped, StatementReport
from dbperf.report.card import Bar, Card, bars, card
from dbperf.report.format import duration, factor, percent_change, place, plural
from dbperf.report.layout import clipped, code_lines, one_line, short_sql
from dbperf.report.order import reasons
from dbperf.report.words import (
    HOW_TO_RECORD,
    LEVELS,
    LIMITS,
    SAME_TRAFFIC,
    SLOWEST_FIRST,
    about,
    before_after,
    coverage_counts,
    coverage_notes,
    database_name,
    estimated_saving,
    headline,
    replayed_seconds,
    statements_left_out,
)

_STATEMENTS, _CARDS = 500, 50
_SITES = 3
_SQL_WIDTH, _REASON_WIDTH = 240, 1000
_SQL_OCTETS = 400_000
"""What the whole SQL of all statements may take; the slowest have theirs first."""
_LONGEST_SQL = 20_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the first screen and what it is; `bars` draw it."""

    label: str
    number: str
    told: str
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a row: as it is read, and as it is sorted by ("" if there is none)."""

    label: str
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    """A statement; `sql` is the whole of it, or "" where `short` is or there was no room."""

    anchor: str
    short: str
    sql: str
    cells: tuple[Cell, ...]
    sites: tuple[str, ...]
    failures: str
    verdict: str
    cards: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The statements; `told` says what the times are, `rest` what is not shown."""

    title: str
    told: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    rest: str


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
    coverage: str
    notes: tuple[str, ...]
    reasons: tuple[Reason, ...]
    levels: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]


def page(report: Report) -> Page:
    """What a reader sees of a report."""
    shown = report.statements[:_STATEMENTS]
    anchors = {each.statement.fingerprint: f"s{number}" for number, each in enumerate(shown, start=1)}
    more = len(report.recommendations) - _CARDS
    return Page(
        title=f"dbperf: {clipped(database_name(report.target.database), 100)}",
        headline=headline(report),
        about=about(report),
        figures=tuple(_figures(report)),
        cards=tuple(
            card(number, each, report, anchors)
            for number, each in enumerate(report.recommendations[:_CARDS], start=1)
        ),
        cards_left_out=f"{plural(more, 'more finding')}: --format json has them all" if more > 0 else "",
        table=_table(report, shown, anchors),
        how_to_record="" if report.statements else HOW_TO_RECORD,
        coverage=coverage_counts(report.coverage),
        notes=tuple(map(_sentence, coverage_notes(report.coverage))),
        reasons=tuple(_reasons(report, anchors)),
        levels=tuple((level.value, meaning) for level, meaning in LEVELS.items()),
        limits=LIMITS,
    )


def _figures(report: Report) -> Iterator[Figure]:
    total, saved = report.execute_seconds, report.recoverable_seconds
    if report.applied:
        before, after = replayed_seconds(report)
        times, change = before_after(before, after)
        yield Figure("The same traffic, measured", times, change, bars(before, after))
    elif saved > 0:
        share = min(saved / total, 1.0) if total > 0 else 0.0
        told = f"{share:.0%} of the {duration(total)} captured"
        yield Figure("Can be saved, measured", duration(saved), told, (Bar("part", share),))
    elif report.recommendations:
        yield Figure("Can be saved, measured", "unknown", "no statement was timed with and without a change")
    if (estimate := estimated_saving(report)) and (change := percent_change(*estimate[:2])):
        told = f"over {plural(estimate[2], 'statement')} that were not timed; a cost is no time"
        yield Figure("Planner cost, estimated", change, told)
    if report.recommendations:
        counts = Counter(each.severity for each in report.recommendations)
        told = ", ".join(
            plural(counts[severity], severity.value)
            if severity is not Severity.INFO
            else f"{counts[severity]} info"
            for severity in reversed(Severity)
            if counts[severity]
        )
        yield Figure("Findings", f"{len(report.recommendations):,}", told)
    coverage = report.coverage
    if coverage.seen:
        share = min(coverage.explained / coverage.seen, 1.0)
        told = f"of {plural(coverage.seen, 'statement')}"
        yield Figure("Explained", f"{coverage.explained:,}", told, (Bar("part", share),))


def _table(report: Report, shown: Sequence[StatementReport], anchors: dict[str, str]) -> Table:
    if report.applied:
        title, told, cells = "Before and after", SAME_TRAFFIC, _changes
    elif any(each.statement.calls for each in report.statements):
        title, told, cells = "Statements", SLOWEST_FIRST, _timings
    else:
        title, told, cells = "Statements", "as given, without times", _costs
    numbers = {each.id: number for number, each in enumerate(report.recommendations[:_CARDS], start=1)}
    room = _SQL_OCTETS
    rows = []
    for each in shown:
        sql = _whole_sql(each.statement.sql, room)
        room -= _octets(sql)
        found = sorted(numbers[id_] for id_ in each.recommendations if id_ in numbers)
        rows.append(_row(each, anchors[each.statement.fingerprint], sql, tuple(cells(each)), tuple(found)))
    rest = report.statements[_STATEMENTS:]
    return Table(
        title,
        told,
        columns=tuple(cell.label for cell in rows[0].cells) if rows else (),
        rows=tuple(rows),
        rest=statements_left_out(rest) if rest else "",
    )


def _row(
    report: StatementReport, anchor: str, sql: str, cells: tuple[Cell, ...], cards: tuple[int, ...]
) -> Row:
    statement = report.statement
    sites = sorted(statement.call_sites, key=lambda site: -site.calls)
    places = [f"{place(site)} {clipped(one_line(site.function), 100)}" for site in sites[:_SITES]]
    if (more := len(sites) - _SITES) > 0:
        places.append(f"and {plural(more, 'more line')}")
    counts = ((statement.errors, "error"), (statement.cancellations, "cancellation"))
    short = short_sql(statement.sql[:_LONGEST_SQL], _SQL_WIDTH)
    return Row(
        anchor=anchor,
        short=short,
        sql="" if sql == short else sql,
        cells=cells,
        sites=tuple(places),
        failures=", ".join(plural(number, noun) for number, noun in counts if number),
        verdict=_sentence(report.verdict),
        cards=cards,
    )


def _whole_sql(sql: str, room: int) -> str:
    """The statement with its own lines, its end cut if it is very long; "" where there is no room for it."""
    text = "\n".join(code_lines(sql[:_LONGEST_SQL]))
    if len(sql) > _LONGEST_SQL:
        text += f"\n… and {plural(len(sql) - _LONGEST_SQL, 'more character')}: --format json has them all"
    return text if _octets(text) <= room else ""


def _octets(text: str) -> int:
    return len(escape(text).encode("ascii", "xmlcharrefreplace"))


def _timings(report: StatementReport) -> Iterator[Cell]:
    statement = report.statement
    yield _seconds("total", statement.execute_seconds if statement.calls else None)
    yield from _traffic(report)


def _changes(report: StatementReport) -> Iterator[Cell]:
    before, after = report.statement.execute_seconds, report.after
    yield _seconds("before", before)
    if after:
        yield _seconds("after", after.execute_seconds)
        ratio = before / after.execute_seconds if after.execute_seconds > 0 else math.nan
        yield Cell("change", factor(before, after.execute_seconds) or "-", _sortable(ratio))
    else:
        yield Cell("after", "not run", "")
        yield Cell("change", "-", "")
    yield from _traffic(report)


def _costs(report: StatementReport) -> Iterator[Cell]:
    yield Cell("planner cost", "-" if report.cost is None else f"{report.cost:,.0f}", _sortable(report.cost))


def _traffic(report: StatementReport) -> Iterator[Cell]:
    statement = report.statement
    timed = statement.calls > 0
    yield _count("calls", statement.calls)
    yield _seconds("mean", statement.mean_seconds if timed else None)
    yield _seconds("p95", statement.latency.quantile(0.95) if statement.latency.count else None)
    yield _count("rows", statement.rows)
    yield _count("errors", statement.errors)


def _seconds(label: str, seconds: float | None) -> Cell:
    return Cell(label, "-" if seconds is None else duration(seconds), _sortable(seconds))


def _count(label: str, number: int) -> Cell:
    return Cell(label, f"{number:,}", str(number))


def _sortable(number: float | None) -> str:
    return "" if number is None or not math.isfinite(number) else f"{number:.4g}"


def _reasons(report: Report, anchors: dict[str, str]) -> Iterator[Reason]:
    room = _STATEMENTS
    for reason, skipped in reasons(report.coverage):
        told = f"{len(skipped):,} skipped: {_sentence(reason)}"
        yield Reason(told, tuple(_link(each, anchors) for each in skipped[:room]))
        room -= min(room, len(skipped))


def _link(skipped: Skipped, anchors: dict[str, str]) -> tuple[str, str]:
    return short_sql(skipped.sql[:_LONGEST_SQL], 100), anchors.get(skipped.fingerprint, "")


def _sentence(text: str) -> str:
    return clipped(one_line(text[: 2 * _REASON_WIDTH]), _REASON_WIDTH)
