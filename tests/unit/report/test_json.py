from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from dbperf.model.histogram import Latency
from dbperf.model.recommendation import Recommendation
from dbperf.model.report import Report, StatementReport
from dbperf.model.runtime import Figure
from dbperf.report.json import SCHEMA_VERSION, render

SCHEMA = json.loads(files("dbperf.report").joinpath("report.schema.json").read_text("utf-8"))


def parsed(report: Report) -> Any:
    """The rendered document, read back strictly and validated."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.loads(render(report), parse_constant=refuse)
    Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_every_object_of_the_schema_is_closed() -> None:
    def objects(node: Any) -> Any:
        if isinstance(node, dict):
            if "properties" in node and "type" in node:
                yield node
            for each in node.values():
                yield from objects(each)

    found = list(objects(SCHEMA))
    assert found
    for each in found:
        assert each["additionalProperties"] is False
        assert set(each["required"]) == set(each["properties"])


def test_summary(shop: Report) -> None:
    summary = parsed(shop)["summary"]
    assert summary.pop("execute_seconds") == pytest.approx(52.0001)
    assert summary.pop("recoverable_seconds") == pytest.approx(46.056, abs=1e-3)
    assert [summary.pop(name) for name in ("wait_seconds", "fetch_seconds")] == [0, 0]
    assert summary == {
        "target": "localhost/5432/shop",
        "environment": "disposable",
        "applied": False,
        "server_version": "18.4",
        "statements": 4,
        "calls": 6211,
        "execute_seconds_after": None,
        "fetch_seconds_after": None,
        "findings": {"info": 0, "warning": 1, "error": 0},
    }
    assert parsed(replace(shop, applied=True))["summary"]["execute_seconds_after"] == pytest.approx(5.954)


def test_statements(shop: Report) -> None:
    first, *_, broken = parsed(shop)["statements"]
    assert (first["calls"], first["rows"], first["dialect"]) == (1200, 3600, "postgresql")
    assert first["mean_seconds"] == pytest.approx(0.0343, rel=0.01)
    assert first["p95_seconds"] == pytest.approx(0.0343, rel=0.07)
    assert first["call_sites"][1] == {
        "file": "/srv/shop/admin.py",
        "line": 7,
        "function": "export",
        "calls": 100,
    }
    assert first["after"] == {
        "calls": 1200,
        "execute_seconds": 0.144,
        "fetch_seconds": 0,
        "mean_seconds": pytest.approx(0.00012),
    }
    assert first["recommendations"] == ["DBP101-0a1b2c"]
    assert (broken["verdict"], broken["cost"], broken["after"]) == (
        "not explained: it does not parse",
        None,
        None,
    )


def test_recommendations(shop: Report) -> None:
    (found,) = parsed(shop)["recommendations"]
    assert (found["code"], found["slug"], found["severity"]) == ("DBP101", "missing-index", "warning")
    assert found["verification"]["level"] == "measured"
    assert found["verification"]["seconds_before"] == 0.0343
    assert found["size_bytes"] == 33_685_504
    assert [each["fingerprint"] for each in found["evidence"]] == ["f2", "f1"]


def test_the_time_of_a_statement_is_split_and_its_failures_are_named(busy: Report) -> None:
    document = parsed(replace(busy, applied=True))
    first = document["statements"][0]
    seconds = (first["wait_seconds"], first["execute_seconds"], first["fetch_seconds"])
    assert seconds == (4.4, 41.2, 2.8)
    assert (first["unread_rows"], first["timeouts"]) == (600, 3)
    assert first["failures"] == [
        {"name": "QueryCanceled", "calls": 3},
        {"name": "DeadlockDetected", "calls": 1},
    ]
    assert first["operations"] == [{"name": "GET /orders", "calls": 1000}, {"name": "", "calls": 200}]
    lazy, again = first["accesses"]
    assert (lazy["kind"], lazy["loader"], lazy["parent"]["line"]) == ("lazy", "selectinload(User.orders)", 42)
    assert (again["calls"], again["site"], again["parent"]) == (7, None, None)
    summary = document["summary"]
    assert (summary["wait_seconds"], summary["fetch_seconds"]) == (4.4, 2.8)
    assert summary["fetch_seconds_after"] == 2.7
    # Of executing and fetching: 44 s x (1 - 0.12/34.3) + 10 s x (1 - 1/2)
    assert summary["recoverable_seconds"] == pytest.approx(48.846, abs=1e-3)


def test_run_time_figures_have_names(busy: Report) -> None:
    runtime = parsed(busy)["runtime"]
    (pool,) = runtime["pools"]
    counts = (
        "checkouts",
        "limit",
        "busiest",
        "timeouts",
        "connects",
        "connect_errors",
        "pings",
        "ping_errors",
    )
    assert [pool[name] for name in counts] == [12_000, 15, 14, 2, 15, 1, 11_985, 0]
    assert pool["held_seconds"] == 240
    assert pool["held_p50_seconds"] == pool["held_p95_seconds"] == pytest.approx(0.02, rel=0.07)
    assert pool["raw_seconds"] == 31.4
    transactions = runtime["transactions"]
    assert (transactions["commits"], transactions["rollbacks"], transactions["errors"]) == (5600, 6400, 3)
    assert transactions["commit_p95_seconds"] == pytest.approx(0.001, rel=0.07)
    orders, health = runtime["operations"]
    assert (orders["name"], orders["calls"], orders["seconds"]) == ("GET /orders", 1000, 50)
    assert (orders["statements"], orders["database_seconds"]) == (6200, 40)
    assert orders["markers"] == [
        {"name": "checked", "calls": 1000, "mean_seconds": 0.003},
        {"name": "saved", "calls": 900, "mean_seconds": 0.016},
    ]
    assert health["markers"] == []
    assert runtime["batchers"] == [
        {"name": "QueryBatcher", "database": "localhost/5432/shop", "counts": {"batches": 3, "size.20": 3}}
    ]


def test_times_of_a_pool_that_are_not_known_are_null(busy: Report) -> None:
    (pool,) = parsed(replace(busy, figures=(Figure.of("pool", "P", "d", {"checkouts": 1}),)))["runtime"][
        "pools"
    ]
    assert (pool["limit"], pool["busiest"], pool["wait_p95_seconds"]) == (None, 0, None)


def test_transactions_of_several_databases_are_one_object(busy: Report) -> None:
    figures = [Figure.of("transactions", "", name, {"commits": 2}) for name in ("h/1/a", "h/1/b")]
    runtime = parsed(replace(busy, figures=tuple(figures)))["runtime"]
    assert runtime["transactions"]["commits"] == 4
    assert [each["database"] for each in runtime["figures"]] == ["h/1/a", "h/1/b"]


def test_what_capture_did_not_see(busy: Report) -> None:
    assert parsed(busy)["coverage"]["unseen"] == {
        "folded_calls": 3400,
        "folded_ns": 12_300_000_000,
        "observer_failures": 1,
        "flush_failures": 2,
        "unlocated_calls": 1200,
        "unsplit_calls": 900,
        "own_ns": 22_800_000,
        "own_calls": 12_000,
        "own_seconds": pytest.approx(1.9e-6),
    }


def test_coverage_and_runtime(shop: Report) -> None:
    document = parsed(shop)
    assert document["coverage"]["skipped"] == [
        {"fingerprint": "f4", "sql": "SELEC 1", "reason": "it does not parse", "syntax_error": False}
    ]
    assert document["coverage"]["other_databases"] == 2
    assert document["runtime"] == {
        "pools": [],
        "holders": [],
        "batchers": [],
        "caches": [],
        "transactions": None,
        "operations": [],
        "figures": [],
    }


def test_no_parameter_and_no_sample_appears(shop: Report) -> None:
    assert shop.statements[0].statement.samples
    assert "secret" not in render(shop)


def test_times_that_are_not_known_are_null(shop: Report) -> None:
    given = replace(shop.statements[0].statement, calls=0, execute_seconds=0.0, latency=Latency())
    (document,) = parsed(replace(shop, statements=(StatementReport(given, "no rule yet"),)))["statements"]
    assert (document["mean_seconds"], document["p50_seconds"], document["p95_seconds"]) == (None, None, None)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_becomes_null(shop: Report, index: Recommendation, number: float) -> None:
    evidence = tuple(replace(each, cost_before=number, cost_after=number) for each in index.evidence)
    report = replace(
        shop,
        statements=(replace(shop.statements[0], cost=number),),
        recommendations=(replace(index, evidence=evidence),),
    )
    document = parsed(report)
    assert document["statements"][0]["cost"] is None
    assert document["recommendations"][0]["evidence"][0]["cost_before"] is None


def test_any_text_survives_any_encoding(shop: Report) -> None:
    sql = 'SELECT "[red]\x1b[31m\u202e 表 \udcff" FROM t'
    first = replace(shop.statements[0], statement=replace(shop.statements[0].statement, sql=sql))
    report = replace(shop, statements=(first,))
    assert render(report).isascii()
    assert "\x1b" not in render(report)
    assert parsed(report)["statements"][0]["sql"] == sql


def test_an_empty_report_is_valid(empty: Report) -> None:
    assert parsed(empty)["statements"] == []


def test_the_schema_refuses_what_it_does_not_know(shop: Report) -> None:
    document = parsed(shop)
    document["recommendations"][0]["parameters"] = [1]
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(document)


def test_a_pool_that_sizes_itself_and_the_lines_that_keep_its_connections(busy: Report) -> None:
    counts = {"allowed.16": 3000, "allowed.40": 1000, "waiting.0": 4000, "decision.demand": 2, "leaks": 1}
    pool = Figure.of("pool", "AdaptivePool", "d", counts | {"retired.unused": 3, "executing_ns": 10**9})
    held = Figure.of("held", "/srv/app.py:7 load", "d", {"leaks": 1, "leaked_ns": 2 * 10**9})
    runtime = parsed(replace(busy, figures=(held, pool)))["runtime"]
    (told,) = runtime["pools"]
    assert (told["allowed_mean"], told["allowed_usual"], told["allowed_most"]) == (22, 16, 40)
    assert (told["waiting_mean"], told["waiting_most"], told["open_usual"]) == (0, 0, None)
    assert (told["decisions"], told["retired"]) == ({"demand": 2}, {"unused": 3})
    assert (told["leaks"], told["executing_seconds"]) == (1, 1)
    assert runtime["holders"] == [
        {
            "file": "/srv/app.py",
            "line": 7,
            "function": "load",
            "database": "d",
            "leaks": 1,
            "leaks_returned": 0,
            "leaked_seconds": 2,
            "idle_in_transaction_seconds": 0,
        }
    ]
    assert [each["kind"] for each in runtime["figures"]] == ["held", "pool"]
