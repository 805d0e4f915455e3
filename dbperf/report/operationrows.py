"""The operations on the HTML page: a row each, the slowest in total first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbperf.model.runtime import Operation
from dbperf.report.card import Bar, sentence
from dbperf.report.cells import Cell, count, seconds, sortable
from dbperf.report.operations import (
    TOLD,
    database_share,
    failed,
    left_out,
    mean_seconds,
    named,
    p95_seconds,
    reached,
    statements_a_call,
)

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation; `bars` draw its time beside that of the slowest."""

    name: str
    reached: str
    failures: str
    cells: tuple[Cell, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class OperationTable:
    """The operations; `rest` says what is not shown."""

    told: str
    columns: tuple[str, ...]
    rows: tuple[OperationRow, ...]
    rest: str


def operation_rows(operations: Sequence[Operation]) -> OperationTable:
    """The slowest of at least one operation."""
    shown, rest = operations[:_SHOWN], operations[_SHOWN:]
    slowest = shown[0].seconds
    rows = tuple(
        OperationRow(
            name=sentence(named(each)),
            reached=sentence(reached(each)),
            failures=failed(each),
            cells=tuple(_cells(each)),
            bars=(Bar("before", each.seconds / slowest),) if 0 < slowest / 100 <= each.seconds else (),
        )
        for each in shown
    )
    return OperationTable(
        told=f"{TOLD}; statements are those of a call, database is the share of its time in them",
        columns=tuple(cell.label for cell in rows[0].cells),
        rows=rows,
        rest=left_out(rest) if rest else "",
    )


def _cells(operation: Operation) -> Iterator[Cell]:
    statements, share = statements_a_call(operation), database_share(operation)
    yield seconds("total", operation.seconds)
    yield count("calls", operation.calls)
    yield seconds("mean", mean_seconds(operation))
    yield seconds("p95", p95_seconds(operation))
    yield Cell("statements", f"{statements:,.1f}", sortable(statements))
    yield Cell("database", f"{share:.0%}", sortable(share))
