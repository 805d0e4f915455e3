"""The report for a person at a terminal, or for a log when piped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO

from rich.console import Console
from rich.text import Text

from dbperf.model.report import Coverage, Report
from dbperf.model.runtime import operations
from dbperf.report.connections import connection_lines, connections
from dbperf.report.finding import finding
from dbperf.report.layout import LABEL, paragraph, short_sql
from dbperf.report.operations import operation_table
from dbperf.report.order import reasons
from dbperf.report.tables import statement_table
from dbperf.report.words import HOW_TO_RECORD, about, coverage_counts, coverage_notes, headline

_PIPED_WIDTH = 100
_NARROWEST, _WIDEST = 60, 140
_REASONS = 10
_TREE = {"├": "|", "└": "`", "│": "|", "─": "-", "►": ">"}
_ASCII = str.maketrans({"→": "->", "…": "...", "µ": "u", "·": "-"} | _TREE)


def open_console(file: IO[str]) -> Console:
    """A console on `file`: 100 cells wide where that is not a terminal, unless COLUMNS says otherwise."""
    chosen = file.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(file=file, width=None if chosen else _PIPED_WIDTH)


def render(report: Report, console: Console) -> None:
    """Print the report. Lines fit the console (60 to 140 cells); only DDL and code are never broken."""
    width = line_width(console)
    lines = list(_lines(report, width))
    if console.is_terminal and len(lines) >= console.height:
        # The first line has scrolled away: the reader's eyes are on the last.
        lines += [Text(), *paragraph(headline(report), width, style="bold")]
    print_lines(lines, console)


def line_width(console: Console) -> int:
    """The cells a line may take: those of the console, within 60 to 140."""
    return max(_NARROWEST, min(console.width, _WIDEST))


def print_lines(lines: Iterable[Text], console: Console) -> None:
    """Print lines that are laid out already, in what the console's encoding has."""
    for line in lines:
        line.rstrip()
        console.print(_encodable(line, console.encoding), soft_wrap=True, highlight=False)


def _lines(report: Report, width: int) -> Iterator[Text]:
    yield from paragraph(headline(report), width, style="bold")
    yield from paragraph(about(report), width, style=LABEL)
    said: dict[str, int] = {}
    for number, recommendation in enumerate(report.recommendations, start=1):
        yield Text()
        yield from finding(number, recommendation, report, width, said)
    yield Text()
    if report.statements:
        yield from statement_table(report, width)
    else:
        yield from paragraph(HOW_TO_RECORD, width)
    if found := operations(report.figures):
        yield Text()
        yield from operation_table(found, width)
    if told := connections(report.figures):
        yield Text()
        yield from connection_lines(told, width)
    yield Text()
    yield from _coverage(report.coverage, width)


def _coverage(coverage: Coverage, width: int) -> Iterator[Text]:
    yield from paragraph(coverage_counts(coverage), width, Text("Coverage  ", "bold"))
    for note in coverage_notes(coverage):
        yield from paragraph(note, width)
    yield from _skipped(coverage, width)


def _skipped(coverage: Coverage, width: int) -> Iterator[Text]:
    ranked = reasons(coverage)
    for reason, statements in ranked[:_REASONS]:
        yield from paragraph(f"{len(statements):,} skipped: {reason}", width)
        first = " for example " if len(statements) > 1 else " "
        yield Text(f"  {first}{short_sql(statements[0].sql, width - len(first) - 2)}", LABEL)
    if rest := ranked[_REASONS:]:
        number = sum(len(statements) for _, statements in rest)
        yield Text(f"{number:,} more skipped for other reasons: --format json has them all", LABEL)


def _encodable(line: Text, encoding: str) -> Text:
    try:
        line.plain.encode(encoding)
    except UnicodeEncodeError:
        plain = line.plain.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
        return Text(plain)
    return line
