"""What is told of a statement's calls beside their number: where the time went, and what failed."""

from __future__ import annotations

import math

from dbperf.model.workload import Statement
from dbperf.report.format import duration, plural
from dbperf.report.layout import clipped, one_line

_OF_ITS_TIME, _OF_ALL_TIME = 0.05, 0.01
"""Shares of a statement's time, and of that of all statements, from which on a part of it is worth a line."""
_CLASSES = 3


def split(statement: Statement, total: float) -> str:
    """Where the time of a statement went; "" where it went into executing it, as is usual.

    `total` is what all statements took: a part too small beside that is not told either.
    """
    wait, fetch = statement.wait_seconds, statement.fetch_seconds
    least = max(_OF_ITS_TIME * (statement.seconds + wait), _OF_ALL_TIME * total)
    if not 0 < least < math.inf:
        return ""
    told = []
    if fetch >= least:
        told.append(f"execute {duration(statement.execute_seconds)} + fetch {duration(fetch)}")
    if wait >= least:
        told.append(f"{duration(wait)} more waiting for a connection")
    return "; ".join(told)


def failed(statement: Statement) -> str:
    """How many calls failed, how, and with which exceptions; "" where none did."""
    kinds = (
        (statement.errors, "error"),
        (statement.timeouts, "timeout"),
        (statement.cancellations, "cancellation"),
    )
    told = ", ".join(plural(number, noun) for number, noun in kinds if number)
    names = [(clipped(one_line(name), 60), calls) for name, calls in statement.failures]
    classes = [f"{calls:,} {name}" for name, calls in names[:_CLASSES]]
    if len(names) == 1 and told:
        classes = [names[0][0]]
    if more := len(names) - len(classes):
        classes.append(plural(more, "more class"))
    return ": ".join(filter(None, (told, ", ".join(classes))))
