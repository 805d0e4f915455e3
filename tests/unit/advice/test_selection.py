"""Which findings are told."""

from __future__ import annotations

from typing import Any

import pytest

from dbperf.advice.selection import selection, told
from dbperf.errors import InputError
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.workload import Access, CallSite, Statement

REPORTS = CallSite("/srv/app/shop/reports.py", 12, "monthly", 3)
VIEWS = CallSite("/srv/app/shop/views.py", 7, "index", 3)


def statement(name: str, *sites: CallSite, ignored: str = "") -> Statement:
    accesses = (Access("ignored", loader=ignored),) if ignored else ()
    known: dict[str, Any] = {
        "dialect": "postgresql",
        "database": "db",
        "call_sites": sites,
        "accesses": accesses,
    }
    return Statement(sql=name, fingerprint=name, **known)


def finding(code: str, *statements: str) -> Recommendation:
    return Recommendation(
        id=f"{code}:x",
        code=code,
        slug="",
        severity=Severity.INFO,
        title="",
        tables=(),
        statements=statements,
        call_sites=(),
        ddl=(),
        fix="",
        evidence=tuple(Evidence(each, each, 1) for each in statements),
        verification=Verification(Level.UNVERIFIED, ""),
    )


STATEMENTS = [
    statement("a", REPORTS),
    statement("b", REPORTS, VIEWS),
    statement("c", VIEWS, ignored="DBP310"),
]
FOUND = [finding("DBP310", "a", "b", "c"), finding("DBP101", "a"), finding("DBP402", "c")]


@pytest.mark.parametrize(
    ("select", "ignore", "left"),
    [
        ([], [], {"DBP310": "ab", "DBP101": "a", "DBP402": "c"}),
        (["DBP1"], [], {"DBP101": "a"}),
        (["dbp310,missing-index"], [], {"DBP310": "ab", "DBP101": "a"}),
        ([], ["order-by-random", "DBP4"], {"DBP101": "a"}),
        ([], ["DBP310@shop/reports.py"], {"DBP310": "b", "DBP101": "a", "DBP402": "c"}),
        ([], ["DBP@reports.py:monthly"], {"DBP310": "b", "DBP402": "c"}),
        ([], ["DBP@reports.py:weekly", "DBP@ports.py"], {"DBP310": "ab", "DBP101": "a", "DBP402": "c"}),
        ([], ["DBP310@reports.py", "DBP310@views.py"], {"DBP101": "a", "DBP402": "c"}),
    ],
)
def test_what_is_left(select: list[str], ignore: list[str], left: dict[str, str]) -> None:
    kept, left_out = told(FOUND, STATEMENTS, selection(select, ignore))
    assert {each.code: "".join(each.statements) for each in kept} == left
    assert left_out == len(FOUND) - len(left)


@pytest.mark.parametrize(
    ("select", "ignore", "words"),
    [
        (["DBP9"], [], "no rule 'DBP9'"),
        ([], ["order-by"], "no rule 'order-by'"),
        ([], ["310"], "no rule '310'"),
        (["DBP310@a.py"], [], "--select takes a code"),
    ],
)
def test_what_no_rule_is_called(select: list[str], ignore: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        selection(select, ignore)
