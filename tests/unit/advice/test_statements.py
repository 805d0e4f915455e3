"""What is made of what the rules on statements find."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dbperf.advice import statements
from dbperf.advice.statements import on_statements
from dbperf.model.recommendation import Severity
from dbperf.model.workload import CallSite, Statement, Workload
from dbperf.statements import analyze_statement
from dbperf.workload.sources.sql_files import given

REPORT = CallSite("/srv/shop/reports.py", 3, "monthly", 1)
VIEW = CallSite("/srv/shop/views.py", 9, "find", 5)


def statement(sql: str, seconds: float, site: CallSite) -> Statement:
    return replace(given(sql, "postgresql"), calls=site.calls, execute_seconds=seconds, call_sites=(site,))


MONTHLY = statement("SELECT count(*) FROM users WHERE lower(email) = 'a'", 500.0, REPORT)
FOUND = statement("SELECT id FROM users WHERE lower(email) = 'b' AND city = 'c'", 0.001, VIEW)
WORKLOAD = Workload((MONTHLY, FOUND))
USES = [(each, analyze_statement(each.sql)) for each in WORKLOAD.statements]


def test_one_finding_of_two_statements() -> None:
    (finding,) = on_statements(WORKLOAD, USES)
    assert finding.code == "DBP301"
    assert finding.statements == (MONTHLY.fingerprint, FOUND.fingerprint)
    assert finding.severity is Severity.WARNING


def test_a_statement_that_is_left_out_has_no_part_in_the_finding_on_another() -> None:
    (finding,) = on_statements(WORKLOAD, USES, ignored=lambda _, each: each is MONTHLY)
    assert finding.statements == (FOUND.fingerprint,)
    assert finding.call_sites == (VIEW,)
    assert finding.severity is Severity.INFO


def test_a_rule_that_fails_says_so_once_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(_reading: Any) -> Any:
        raise KeyError("'secret'")

    failing = SimpleNamespace(CODE="DBP399", SLUG="failing", read=read)
    monkeypatch.setattr(statements, "RULES", (failing, *statements.RULES))
    with caplog.at_level(logging.WARNING, "dbperf"):
        assert [each.code for each in on_statements(WORKLOAD, USES)] == ["DBP301"]
    assert caplog.messages == ["rule DBP399 failed on a statement (KeyError)"]
