"""The tables of statements on the terminal: numbers to the left, the statement stacked to their right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from dbperf.model.report import Replayed, Report, StatementReport
from dbperf.model.workload import Statement
from dbperf.report.calls import failed, split
from dbperf.report.format import duration, factor, place, plural
from dbperf.report.layout import LABEL, aligned, clipped_left, one_line, paragraph, printable, short_sql
from dbperf.report.words import (
    COMPLEX,
    SAME_TRAFFIC,
    SLOWEST_FIRST,
    complexity,
    replayed_seconds,
    statements_left_out,
)

_STATEMENTS = 20


def statement_table(report: Report, width: int) -> Iterator[Text]:
    """Every statement with its times, its line in the application and its verdict; the slowest 20.

    Of a report whose advice was applied the times are those before and after, with a total; statements
    that were given and not captured have none.
    """
    shown = report.statements[:_STATEMENTS]
    head: tuple[str, ...]
    if report.applied:
        title, told, head = "Before and after", SAME_TRAFFIC, ("before", "after", "change")
        cells = [_changes(each) for each in shown]
    elif any(each.statement.calls for each in report.statements):
        title, told, head = "Statements", SLOWEST_FIRST, ("total", "calls", "mean", "p95")
        cells = [_timings(each) for each in shown]
    else:
        title, told, head = "Statements", "as given, without times", ()
        cells = [() for _ in shown]
    yield from paragraph(told, width, Text(f"{title}  ", "bold"), LABEL)
    captured = report.seconds
    numbers = {each.id: number for number, each in enumerate(report.recommendations, start=1)}
    total = _change(*replayed_seconds(report)) if report.applied else ("",) * len(head)
    header, *rows, last = aligned([head, *cells, total])
    if header:
        yield Text(header, LABEL)
    for row, each in zip(rows, shown, strict=True):
        yield from _stacked(row, each.statement, captured, width)
        found = sorted(numbers[id_] for id_ in each.recommendations if id_ in numbers)
        prefix = Text.assemble(_margin(row), ("".join(f"#{number} " for number in found), "bold"))
        yield from paragraph(each.verdict, width, prefix)
        if each.complexity and each.complexity.score >= COMPLEX:
            yield from paragraph(complexity(each.complexity), width, _margin(row), LABEL)
        if each.after:
            yield from _calls_changed(row, each, each.after)
    yield from _rest(report.statements[_STATEMENTS:], width)
    if report.applied:
        ran = sum(each.after is not None for each in report.statements)
        yield Text(f"{last}  total of {plural(ran, 'statement')}", "bold")


def _timings(report: StatementReport) -> tuple[str, ...]:
    statement = report.statement
    if not statement.calls:
        return "-", "-", "-", "-"
    p95 = duration(statement.latency.quantile(0.95)) if statement.latency.count else "-"
    return (
        duration(statement.seconds),
        f"{statement.calls:,}",
        duration(statement.mean_seconds),
        p95,
    )


def _changes(report: StatementReport) -> tuple[str, ...]:
    before = report.statement.seconds
    return _change(before, report.after.seconds) if report.after else (duration(before), "not run", "-")


def _change(before: float, after: float) -> tuple[str, str, str]:
    return duration(before), duration(after), factor(before, after) or "-"


def _margin(row: str) -> str:
    return " " * (cell_len(row) + 2)


def _stacked(row: str, statement: Statement, captured: float, width: int) -> Iterator[Text]:
    """A row of numbers with the statement's SQL, its line in the application, its time and its failures."""
    margin = _margin(row)
    inner = width - len(margin)
    yield Text(f"{row}  {short_sql(statement.sql, inner)}")
    if sites := sorted(statement.call_sites, key=lambda site: -site.calls):
        more = f" and {plural(len(sites) - 1, 'more line')}" if len(sites) > 1 else ""
        where = f"{printable(place(sites[0]))} {one_line(sites[0].function)}"
        yield Text(f"{margin}{clipped_left(where, inner - len(more))}{more}", LABEL)
    yield from paragraph(split(statement, captured), width, margin, LABEL)
    yield from paragraph(failed(statement), width, margin)


def _calls_changed(row: str, report: StatementReport, after: Replayed) -> Iterator[Text]:
    if report.statement.calls != after.calls:
        yield Text(f"{_margin(row)}{plural(report.statement.calls, 'call')}, then {after.calls:,}")


def _rest(statements: Sequence[StatementReport], width: int) -> Iterator[Text]:
    if statements:
        yield from paragraph(statements_left_out(statements), width, style=LABEL)
