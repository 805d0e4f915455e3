from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dbperf.model.report import Report
from dbperf.model.workload import Counted, Statement
from dbperf.report.calls import failed, split

BASE = Statement("SELECT 1", "f", "postgresql", "h/1/d", calls=10)


@pytest.mark.parametrize(
    ("wait", "execute", "fetch", "captured", "told"),
    [
        (0.0, 1.0, 0.0, 1.0, ""),
        (0.04, 1.0, 0.04, 1.0, ""),
        (0.0, 0.0002, 2.284, 2.3, "execute 200 µs + fetch 2.28 s"),
        (1.2, 3.4, 0.0, 3.4, "1.20 s more waiting for a connection"),
        (1.2, 3.4, 0.9, 4.3, "execute 3.40 s + fetch 900 ms; 1.20 s more waiting for a connection"),
        (1.2, 0.0, 0.0, 0.0, "1.20 s more waiting for a connection"),
        (0.0, 0.01, 0.9, 1000.0, ""),
        (0.0, 0.0, 0.0, 0.0, ""),
        (0.0, math.nan, 0.9, 1.0, ""),
        (0.0, math.inf, 0.9, 1.0, ""),
    ],
)
def test_a_split_is_told_where_it_says_something(
    wait: float, execute: float, fetch: float, captured: float, told: str
) -> None:
    statement = replace(BASE, wait_seconds=wait, execute_seconds=execute, fetch_seconds=fetch)
    assert split(statement, captured) == told


@pytest.mark.parametrize(
    ("errors", "timeouts", "cancellations", "classes", "told"),
    [
        (0, 0, 0, (), ""),
        (3, 0, 1, (), "3 errors, 1 cancellation"),
        (0, 3, 0, (("QueryCanceled", 3),), "3 timeouts: QueryCanceled"),
        (2, 1, 0, (("Unique", 2), ("Canceled", 1)), "2 errors, 1 timeout: 2 Unique, 1 Canceled"),
        (5, 0, 0, (("A", 2), *((name, 1) for name in "BCD")), "5 errors: 2 A, 1 B, 1 C, 1 more class"),
        (1, 0, 0, (("\x1b[31m\n" + "x" * 99, 1),), "1 error: \\x1b[31m " + "x" * 50 + "…"),
        (0, 0, 0, (("A", 2),), "2 A"),
    ],
)
def test_failures(errors: int, timeouts: int, cancellations: int, classes: Counted, told: str) -> None:
    statement = replace(BASE, errors=errors, timeouts=timeouts, cancellations=cancellations, failures=classes)
    assert failed(statement) == told


def test_the_total_is_what_the_application_waited_for(busy: Report) -> None:
    statement = busy.statements[0].statement
    assert statement.seconds == 44.0
    assert busy.seconds == pytest.approx(54.8001)
    assert statement.mean_seconds == pytest.approx(41.2 / 1200), "of executing, as its distribution"
