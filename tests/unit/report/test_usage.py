"""A finding on how a statement is used, which has neither plans nor costs, in every renderer."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from io import StringIO

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.report import Report
from dbperf.model.workload import CallSite
from dbperf.report import html, saved, terminal
from dbperf.report import json as json_report
from dbperf.report.words import headline, proof_hint, stake

FIX = "in shop/users.py:40 add .options(selectinload(User.posts)) to the query that loads the parents"
USAGE = "5,000 executions in 20 runs of GET /users took 10.0 s; 4,980 round trips fewer save at least 2.49 s"


@pytest.fixture
def usage() -> Recommendation:
    return Recommendation(
        id="DBP401:selectinload(User.posts)@shop/users.py:page",
        code="DBP401",
        slug="n-plus-one",
        severity=Severity.WARNING,
        title="User.posts is loaded one by one: 5,000 loads in 20 runs of GET /users",
        tables=("posts",),
        statements=("f2",),
        call_sites=(
            CallSite("/srv/shop/users.py", 43, "page", 5000),
            CallSite("/srv/shop/users.py", 40, "page", 0),
        ),
        ddl=(),
        fix=FIX,
        evidence=(
            Evidence("f2", "SELECT * FROM lines WHERE order_id = $1", 5000, usage=USAGE, seconds_saved=2.49),
        ),
        verification=Verification(Level.ESTIMATED, "the executions spared, times the round trip of 500 µs"),
        risk="reads what belongs to every parent",
    )


@pytest.fixture
def report(shop: Report, usage: Recommendation) -> Report:
    return replace(shop, recommendations=(*shop.recommendations, usage))


def test_words(report: Report, usage: Recommendation) -> None:
    assert headline(report) == (
        "1 missing index, 1 N+1 query: 46.1 s of the 52.0 s captured can be saved "
        "(measured; 1 of 2 findings not measured)"
    )
    again = replace(usage, slug="repeated-query")
    rows = replace(usage, slug="over-fetch")
    assert headline(replace(report, recommendations=(usage, usage, again, rows))) == (
        "2 N+1 queries, 1 repeated query, 1 other finding (estimated, nothing tried)"
    )
    assert stake(usage, report) == "can save at least 2.49 s of the 52.0 s captured (5%, estimated)"
    unpriced = replace(usage, evidence=(replace(usage.evidence[0], seconds_saved=None),))
    assert stake(unpriced, report) == ""
    assert proof_hint(usage, "production") == ""


def test_terminal(report: Report) -> None:
    out = StringIO()
    terminal.render(report, Console(file=out, width=100))
    shown = out.getvalue()
    assert "#2  User.posts is loaded one by one: 5,000 loads in 20 runs of GET /users" in shown
    assert "warning  DBP401: can save at least 2.49 s of the 52.0 s captured (5%, estimated)" in shown
    assert "/srv/shop/users.py:43 page, 5,000 calls\n    /srv/shop/users.py:40 page\n" in shown
    told = " ".join(shown.split())
    assert USAGE in told
    assert f"In code {FIX}" in told
    assert "not timed" not in told.partition("#2")[2].partition("Risk")[0]


def test_html(report: Report) -> None:
    page = html.render(report)
    assert USAGE in page
    assert FIX in page
    assert "estimated" in page


def test_json_and_back(report: Report) -> None:
    text = json_report.render(report)
    schema = json.loads(files("dbperf.report").joinpath("report.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads(text))
    assert saved.parse(text).recommendations == report.recommendations


def test_a_finding_on_a_pool_has_no_statement(shop: Report, usage: Recommendation) -> None:
    told = "5,000 pings in 5,000 checkouts took 2.00 s"
    pings = replace(
        usage,
        code="DBP505",
        slug="wasted-pre-ping",
        tables=(),
        statements=(),
        call_sites=(),
        evidence=(Evidence("", "", 5000, usage=told, seconds_saved=2.0),),
    )
    report = replace(shop, recommendations=(pings,))
    assert stake(pings, report) == "can save 2.00 s of what checkouts take (estimated)"
    silent = replace(pings, evidence=(Evidence("", "", 5000, usage=told),))
    assert stake(silent, report) == ""
    document = json.loads(json_report.render(report))
    Draft202012Validator(
        json.loads(files("dbperf.report").joinpath("report.schema.json").read_text("utf-8"))
    ).validate(document)
    assert saved.parse(json_report.render(report)).recommendations == (pings,)
    page = html.render(report)
    assert told in page
    assert "<code></code>" not in page
    console = Console(file=StringIO(), width=80)
    terminal.render(report, console)
    assert f"      {told}\n" in console.file.getvalue()  # type: ignore[attr-defined]
