from __future__ import annotations

from dbperf.model.workload import Unseen
from dbperf.report.unseen import unseen


def test_every_number_has_its_sentence() -> None:
    what = Unseen(3400, 12_300_000_000, 1, 2, 1200, 900, own_ns=22_800_000, own_calls=12_000)
    assert list(unseen(what)) == [
        "3,400 executions, 12.3 s, counted in no statement: max_statements was reached",
        "1,200 executions without a line of the application: dbperf was over its own budget",
        "900 executions without their fetching and repetition: dbperf was over its own budget",
        "capture failed 1 time and switched itself off",
        "writing down what was seen failed 2 times and was tried again",
        "dbperf itself took about 1.90 µs a call, measured at 12,000 calls",
    ]


def test_nothing_is_said_of_what_is_not() -> None:
    assert list(unseen(Unseen())) == []
    assert list(unseen(Unseen(folded_calls=1))) == [
        "1 execution, counted in no statement: max_statements was reached"
    ]
