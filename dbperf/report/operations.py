"""What is told of operations: what the application was doing, the slowest in total first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from dbperf.model.runtime import Operation
from dbperf.report.format import duration, plural
from dbperf.report.layout import LABEL, aligned, clipped, clipped_middle, one_line, paragraph
from dbperf.report.words import SLOWEST_FIRST

TOLD = f"requests, jobs, tests and what else the application tracks; {SLOWEST_FIRST}"
_HEAD = ("total", "calls", "mean", "p95")
_SHOWN = 10
_MARKERS = 5


def operation_table(operations: Sequence[Operation], width: int) -> Iterator[Text]:
    """The slowest ten on the terminal: numbers to the left, as those of statements, the rest stacked."""
    shown, rest = operations[:_SHOWN], operations[_SHOWN:]
    yield from paragraph(TOLD, width, Text("Operations  ", "bold"), LABEL)
    header, *rows = aligned([_HEAD, *map(_numbers, shown)])
    yield Text(header, LABEL)
    for row, each in zip(rows, shown, strict=True):
        margin = " " * (cell_len(row) + 2)
        yield Text(f"{row}  {clipped_middle(named(each), width - len(margin))}")
        yield from paragraph(spent(each), width, margin, LABEL)
        yield from paragraph(reached(each), width, margin, LABEL)
        yield from paragraph(failed(each), width, margin)
    if rest:
        yield from paragraph(left_out(rest), width, style=LABEL)


def named(operation: Operation) -> str:
    """What it is called, on one line."""
    return one_line(operation.name) or "(no name)"


def statements_a_call(operation: Operation) -> float:
    """How many statements one call executed, mean."""
    return operation.statements / operation.calls if operation.calls else 0.0


def database_share(operation: Operation) -> float:
    """The share of its time that it executed statements; above 1 where it did so side by side."""
    return operation.database_seconds / operation.seconds if operation.seconds else 0.0


def spent(operation: Operation) -> str:
    """What a call did in the database, and what share of its time that took."""
    if not operation.statements:
        return "no statement"
    number = statements_a_call(operation)
    told = plural(round(number), "statement") if number >= 9.5 else f"{number:.1f} statements"
    return f"{told} a call, {database_share(operation):.0%} in the database"


def reached(operation: Operation) -> str:
    """When its markers were set, in the order of time."""
    markers = sorted(operation.markers.items(), key=lambda each: each[1][1])
    told = []
    for name, (number, mean) in markers[:_MARKERS]:
        times = "" if number == operation.calls else f" ({plural(number, 'time')})"
        told.append(f"{clipped(one_line(name), 60)} after {duration(mean)}{times}")
    if more := len(markers) - len(told):
        told.append(plural(more, "more marker"))
    return ", ".join(told)


def failed(operation: Operation) -> str:
    """How many ended with an exception; "" where none did."""
    return plural(operation.errors, "error") if operation.errors else ""


def left_out(operations: Sequence[Operation]) -> str:
    """How many operations are not shown, and what they took."""
    total = duration(sum(each.seconds for each in operations))
    return f"{plural(len(operations), 'more operation')}, {total} in total: --format json has them all"


def mean_seconds(operation: Operation) -> float | None:
    """Of a call."""
    return operation.seconds / operation.calls if operation.calls else None


def p95_seconds(operation: Operation) -> float | None:
    """Of a call, within 6 %."""
    return operation.latency.quantile(0.95) if operation.latency.count else None


def _numbers(operation: Operation) -> tuple[str, ...]:
    mean, p95 = mean_seconds(operation), p95_seconds(operation)
    return (
        duration(operation.seconds),
        f"{operation.calls:,}",
        "-" if mean is None else duration(mean),
        "-" if p95 is None else duration(p95),
    )
