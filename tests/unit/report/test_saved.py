from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

from dbperf.errors import InputError
from dbperf.model.histogram import Latency
from dbperf.model.recommendation import Recommendation
from dbperf.model.report import Coverage, Replayed, Report, StatementReport, Target
from dbperf.model.runtime import CONNECTIONS, DURATIONS, Figure
from dbperf.model.workload import Sample
from dbperf.report import html, terminal
from dbperf.report.json import render
from dbperf.report.saved import parse

counts = st.integers(0, 2**63 - 1)
st.register_type_strategy(int, counts)
st.register_type_strategy(float, st.floats(0, 1e12))
st.register_type_strategy(str, st.text(st.characters(exclude_categories=()), max_size=10))
st.register_type_strategy(Latency, st.dictionaries(st.integers(0, 487), counts, max_size=3).map(Latency.of))
distributions = st.builds(
    "{}.{}".format, st.sampled_from(sorted(DURATIONS | CONNECTIONS)), st.integers(0, 487)
)
names = st.one_of(st.text(max_size=10), distributions, st.sampled_from(["calls", "wait_ns", "marker a"]))
st.register_type_strategy(
    Figure,
    st.builds(
        Figure.of,
        st.sampled_from(["pool", "held", "transactions", "operation", "batcher", "later"]),
        st.from_type(str),
        st.from_type(str),
        st.dictionaries(
            names.filter(lambda name: name.rpartition(".")[0] not in DURATIONS | CONNECTIONS), counts
        )
        | st.dictionaries(distributions, counts),
    ),
)
st.register_type_strategy(Sample, st.just(Sample("SELECT 'secret'", ("secret",))))


def few(kind: type) -> Any:
    return st.lists(st.from_type(kind), max_size=2).map(tuple)


reports = st.builds(
    Report,
    st.from_type(Target),
    few(StatementReport),
    few(Recommendation),
    st.from_type(Coverage),
    st.booleans(),
    few(Figure),
)


def in_every_format(report: Report) -> None:
    """Render it; nothing may be raised."""
    html.render(report)
    terminal.render(report, Console(file=io.StringIO(), width=80, _environ={}))
    render(report)


@settings(
    deadline=None,
    max_examples=40,
    phases=(Phase.explicit, Phase.generate),  # a report takes minutes to shrink, and says enough as it is
    suppress_health_check=list(HealthCheck),
)
@given(reports)
def test_any_report_comes_back_as_it_was_saved(report: Report) -> None:
    saved = render(report)
    back = parse(saved)
    assert render(back) == saved
    in_every_format(back)


@pytest.mark.parametrize("applied", [False, True])
def test_every_format_says_the_same_of_a_saved_report(busy: Report, applied: bool) -> None:
    report = replace(busy, applied=applied)
    back = parse(render(report))
    assert html.render(back) == html.render(report)
    assert (back.figures, back.coverage) == (report.figures, report.coverage)
    assert back.statements[0].statement.samples == ()


def test_a_report_saved_before_there_were_run_time_figures(shop: Report) -> None:
    """Stores keep reports, and so do people; this file is one of that time."""
    text = Path(__file__).with_name("without_runtime.json").read_text("ascii")
    assert not {"fetch_seconds", "failures", "accesses"} & json.loads(text)["statements"][0].keys()
    report = parse(text)
    in_every_format(report)
    assert report.applied
    assert report.figures == ()
    assert report.coverage == shop.coverage
    first = report.statements[0]
    assert (first.statement.seconds, first.statement.failures, first.after) == (
        41.2,
        (),
        Replayed(1200, 0.144),
    )
    assert render(parse(render(report))) == render(report)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_bytes_in_any_encoding_of_unicode(shop: Report, encoding: str) -> None:
    assert render(parse(render(shop).encode(encoding))) == render(shop)


def test_numbers_that_are_not_finite(shop: Report, index: Recommendation) -> None:
    for number in (float("nan"), float("inf")):
        evidence = tuple(replace(each, cost_before=number, cost_after=number) for each in index.evidence)
        first = replace(shop.statements[0], cost=number)
        report = replace(shop, statements=(first,), recommendations=(replace(index, evidence=evidence),))
        assert render(parse(render(report))) == render(report)
        in_every_format(parse(render(report)))


def test_what_a_later_version_adds_is_passed_over(shop: Report) -> None:
    document = json.loads(render(shop))
    document["later"] = document["statements"][0]["later"] = {"more": [1]}
    document["runtime"]["later"] = document["coverage"]["unseen"]["later"] = 1
    document["statements"][0]["samples"] = [{"sql": "SELECT 1", "parameters": []}]
    assert render(parse(json.dumps(document))) == render(shop)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty, not a dbperf report"),
        (" \n", "empty, not a dbperf report"),
        ("no", "not a dbperf report, or not all of one: no JSON from line 1"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "not a dbperf report: no JSON"),
        (b"\xff\xfe\x00", "not a dbperf report: no JSON"),
        ("[" * 100_000, "not a dbperf report: no JSON"),
        ("9" * 5000, "not a dbperf report: no JSON"),
        ('{"schema_version": NaN}', "not a dbperf report: no JSON"),
        ("[]", "JSON, but not a dbperf report: it has no schema_version"),
        ("{}", "JSON, but not a dbperf report: it has no schema_version"),
        ('{"schema_version": "1"}', "JSON, but not a dbperf report: it has no schema_version"),
        ('{"schema_version": true}', "JSON, but not a dbperf report: it has no schema_version"),
        (
            '{"schema_version": 2}',
            "written by a newer dbperf (schema 2, this one reads up to 1): upgrade dbperf",
        ),
        ('{"schema_version": 1}', "not a dbperf report: summary: not an object"),
        ('{"schema_version": 1, "summary": []}', "not a dbperf report: summary: not an object"),
    ],
)
def test_what_is_no_report(text: str | bytes, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(text)
    assert str(refused.value) == says


def test_a_torn_report_says_where_it_ends(shop: Report) -> None:
    text = render(shop)
    with pytest.raises(InputError, match=r"not all of one: no JSON from line 4\d$"):
        parse("\n".join(text.split("\n")[:45]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["statements"][1].update(calls=-1), "statements[1].calls: not a count"),
        (lambda d: d["statements"][1].update(calls=True), "statements[1].calls: not a count"),
        (lambda d: d["statements"][1].update(rows=2**63), "statements[1].rows: not a count"),
        (lambda d: d["statements"][1].pop("sql"), "statements[1].sql: missing"),
        (lambda d: d["statements"][1].update(tables="abc"), "statements[1].tables: not an array"),
        (lambda d: d["statements"].insert(0, 7), "statements[0]: not an object"),
        (
            lambda d: d["statements"][0].update(latency=[[488, 1]]),
            "statements[0].latency: not pairs of a bucket,",
        ),
        (lambda d: d["statements"][0].update(latency=[[1]]), "statements[0].latency: not pairs of a bucket,"),
        (lambda d: d["summary"].pop("target"), "summary.target: missing"),
        (lambda d: d["summary"].update(applied=1), "summary.applied: neither true nor false"),
        (
            lambda d: d["recommendations"][0].update(severity="fatal"),
            "recommendations[0].severity: 'fatal' is not",
        ),
        (lambda d: d["recommendations"][0].update(evidence={}), "recommendations[0].evidence: not an array"),
        (lambda d: d["coverage"].update(notes=[1]), "coverage.notes[0]: not a text"),
        (lambda d: d["coverage"]["unseen"].update(own_ns=-1), "coverage.unseen.own_ns: not a count"),
        (lambda d: d["statements"][0].update(failures=["a"]), "statements[0].failures[0]: not a name and"),
        (
            lambda d: d["statements"][0]["operations"][0].pop("name"),
            "statements[0].operations[0]: not a name",
        ),
        (
            lambda d: d["statements"][0]["accesses"][0].update(site=7),
            "statements[0].accesses[0].site.file: not an",
        ),
        (lambda d: d.update(runtime=[]), "runtime: not an object"),
        (lambda d: d["runtime"].update(figures={}), "runtime.figures: not an array"),
        (lambda d: d["runtime"]["figures"][0].pop("kind"), "runtime.figures[0].kind: missing"),
        (
            lambda d: d["runtime"]["figures"][0]["counts"].update(x=-1),
            "runtime.figures[0].counts: not a count",
        ),
        (
            lambda d: d["runtime"]["figures"][0]["counts"].update({"wait.488": 1}),
            "runtime.figures[0].counts: 'wait.488' counts nothing",
        ),
        (
            lambda d: d["runtime"]["figures"][0]["counts"].update({"limit.": 1}),
            "runtime.figures[0].counts: 'limit.' counts nothing",
        ),
    ],
)
def test_where_a_report_is_wrong(busy: Report, change: Callable[[Any], object], says: str) -> None:
    document = json.loads(render(busy))
    change(document)
    with pytest.raises(InputError) as refused:
        parse(json.dumps(document))
    assert str(refused.value).startswith(f"not a dbperf report: {says}")


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a document with each of its keys; of an array the first item only."""
    for key in list(node) if isinstance(node, dict) else range(min(len(node), 1)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


WRONG = (None, -1, 2**63 - 1, 10**400, -1e308, "\x1b\u202e\udc80<", [], {})


def test_no_value_anywhere_crashes_a_renderer(busy: Report, index: Recommendation) -> None:
    small = replace(
        busy, statements=busy.statements[:1], recommendations=(replace(index, evidence=index.evidence[1:]),)
    )
    document = json.loads(render(replace(small, applied=True)))
    refused: list[str] = []
    for value in WRONG:
        spoilt = copy.deepcopy(document)
        for container, key in list(places(spoilt)):
            kept = container[key]
            container[key] = value
            try:
                html.render(parse(json.dumps(spoilt)))
            except InputError as error:
                refused.append(str(error))
                container[key] = kept
        in_every_format(parse(json.dumps(spoilt)))  # wrong wherever it may be
    assert all(line.isprintable() and len(line) < 400 for line in refused)
