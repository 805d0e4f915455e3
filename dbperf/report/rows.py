"""The statements on the HTML page: a row each, the slowest in total first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from dbperf.model.report import Report, StatementReport
from dbperf.report.calls import failed, split
from dbperf.report.card import CARDS, LONGEST, SHORT, Bar, code, sentence, short
from dbperf.report.cells import Cell, count, seconds, sortable
from dbperf.report.format import cost, factor, place, plural
from dbperf.report.layout import clipped, clipped_left, one_line
from dbperf.report.words import SAME_TRAFFIC, SLOWEST_FIRST, complexity, statements_left_out

STATEMENTS = 500
"""As many are shown."""

_SITES = 3
_COUNTS = frozenset({"rows", "errors"})
_SQL_OCTETS = 320_000
"""What the whole SQL of all statements may take; the slowest have theirs first."""


@dataclass(frozen=True, slots=True)
class Row:
    """A statement; `sql` is the whole of it, or "" where `short` is or there was no room.

    `split` is where its time went, `asks` how complex it is; `bars` draw its time beside that of the slowest;
    `cards` are the numbers of its recommendations.
    """

    anchor: str
    short: str
    sql: str
    cells: tuple[Cell, ...]
    sites: tuple[str, ...]
    split: str
    asks: str
    failures: str
    verdict: str
    cards: tuple[int, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The statements; `told` says what the times are, `cut` and `rest` what is not shown."""

    title: str
    told: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    cut: str
    rest: str


def table(report: Report) -> Table:
    """The statements with the times that are known of them."""
    if report.applied:
        title, told, cells = "Before and after", SAME_TRAFFIC, _changes
    elif any(each.statement.calls for each in report.statements):
        title, told, cells = "Statements", SLOWEST_FIRST, _timings
    else:
        title, told, cells = "Statements", "as given, without times", _costs
    shown, rest = report.statements[:STATEMENTS], report.statements[STATEMENTS:]
    slowest, captured = max((each.statement.seconds for each in shown), default=0.0), report.seconds
    whole = _whole_sql(shown)
    numbers = {each.id: number for number, each in enumerate(report.recommendations[:CARDS], start=1)}
    rows = _without_zeros([tuple(cells(each)) for each in shown])
    cut = sum(not sql and len(each.statement.sql) > SHORT for each, sql in zip(shown, whole, strict=True))
    return Table(
        title,
        told,
        columns=tuple(cell.label for cell in rows[0]) if rows else (),
        rows=tuple(
            _row(f"s{number}", each, sql, row, split(each.statement, captured), _bars(each, slowest), numbers)
            for number, (each, sql, row) in enumerate(zip(shown, whole, rows, strict=True), start=1)
        ),
        cut=f"{plural(cut, 'statement')} shown in part: --format json has them whole" if cut else "",
        rest=statements_left_out(rest) if rest else "",
    )


def _row(
    anchor: str,
    report: StatementReport,
    sql: str,
    cells: tuple[Cell, ...],
    where: str,
    bars: tuple[Bar, ...],
    numbers: Mapping[str, int],
) -> Row:
    statement = report.statement
    first_line = short(statement.sql)
    return Row(
        anchor=anchor,
        short=first_line,
        sql="" if sql == first_line else sql,
        cells=cells,
        sites=tuple(_sites(report)),
        split=where,
        asks=complexity(report.complexity),
        failures=failed(statement),
        verdict=sentence(report.verdict),
        cards=tuple(sorted(numbers[id_] for id_ in report.recommendations if id_ in numbers)),
        bars=bars,
    )


def _without_zeros(rows: Sequence[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    """Rows without the counts that are 0 in all: nothing failed, or the driver counts no rows."""
    told = {cell.label for row in rows for cell in row if cell.label not in _COUNTS or cell.value != "0"}
    return [tuple(cell for cell in row if cell.label in told) for row in rows]


def _sites(report: StatementReport) -> Iterator[str]:
    sites = sorted(report.statement.call_sites, key=lambda site: -site.calls)
    for site in sites[:_SITES]:
        yield f"{clipped_left(place(site), 200)} {clipped(one_line(site.function), 100)}".rstrip()
    if (more := len(sites) - _SITES) > 0:
        yield f"and {plural(more, 'more line')}"


def _bars(report: StatementReport, slowest: float) -> tuple[Bar, ...]:
    """A statement's time, and that after the change, beside the slowest's; none too short to be seen."""
    before, after = report.statement.seconds, report.after.seconds if report.after else 0.0
    if not (0 < slowest < math.inf and slowest / 100 <= before <= slowest):
        return ()
    times = {"before": before} | ({"after": min(after, slowest)} if report.after else {})
    return tuple(Bar(kind, seconds / slowest) for kind, seconds in times.items())


def _whole_sql(statements: Sequence[StatementReport]) -> list[str]:
    """The SQL of each statement with its own lines, a very long one cut; "" where no room is left for it."""
    room, texts = _SQL_OCTETS, []
    for each in statements:
        text = code(each.statement.sql) if len(each.statement.sql[:LONGEST]) <= room else ""
        octets = len(escape(text).encode("ascii", "xmlcharrefreplace"))
        texts.append(text if octets <= room else "")
        room -= octets if octets <= room else 0
    return texts


def _timings(report: StatementReport) -> Iterator[Cell]:
    statement = report.statement
    yield seconds("total", statement.seconds if statement.calls else None)
    yield from _traffic(report)


def _changes(report: StatementReport) -> Iterator[Cell]:
    before, after = report.statement.seconds, report.after
    yield seconds("before", before)
    if after:
        yield seconds("after", after.seconds)
        ratio = before / after.seconds if after.seconds > 0 else math.nan
        yield Cell("change", factor(before, after.seconds) or "-", sortable(ratio))
    else:
        yield Cell("after", "not run", "")
        yield Cell("change", "-", "")
    yield from _traffic(report)


def _costs(report: StatementReport) -> Iterator[Cell]:
    yield Cell("cost", "-" if report.cost is None else cost(report.cost), sortable(report.cost))


def _traffic(report: StatementReport) -> Iterator[Cell]:
    statement = report.statement
    timed = statement.calls > 0
    yield count("calls", statement.calls)
    yield seconds("mean", statement.mean_seconds if timed else None)
    yield seconds("p95", statement.latency.quantile(0.95) if statement.latency.count else None)
    yield count("rows", statement.rows)
    yield count("errors", statement.errors)
