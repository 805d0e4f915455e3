from __future__ import annotations

from dataclasses import replace

import pytest

from dbperf.model.facts import Complexity
from dbperf.model.recommendation import Evidence, Level, Recommendation
from dbperf.model.report import Coverage, Report
from dbperf.report.words import (
    CostSaving,
    complexity,
    cost_savings,
    database_name,
    headline,
    parameters_used,
    proof_hint,
    stake,
)


def at_level(recommendation: Recommendation, level: Level) -> Recommendation:
    """The same recommendation proven only so far."""
    untimed = tuple(
        replace(each, seconds_before=None, seconds_after=None) for each in recommendation.evidence
    )
    proof = replace(recommendation.verification, level=level, seconds_before=None, seconds_after=None)
    return replace(recommendation, evidence=untimed, verification=proof)


def test_what_can_be_saved_is_measured(shop: Report, index: Recommendation) -> None:
    # 41.2 s x (1 - 0.12/34.3) + 10 s x (1 - 1/2)
    assert headline(shop) == "1 missing index: 46.1 s of the 52.0 s captured can be saved (measured)"


def test_a_finding_says_what_is_at_stake(shop: Report, index: Recommendation) -> None:
    assert stake(index, shop) == "can save 46.1 s of the 52.0 s captured (89%)"
    guess = at_level(index, Level.WHAT_IF)
    assert stake(guess, shop) == "its statements took 51.2 s of the 52.0 s captured (98%)"
    least = replace(index, evidence=(replace(index.evidence[0], seconds_after=0.00199),))
    assert stake(least, shop) == "can save 50.0 ms of the 52.0 s captured (under 1%)"


def test_nothing_is_at_stake_where_nothing_was_captured(shop: Report, index: Recommendation) -> None:
    assert stake(index, replace(shop, statements=())) == ""
    assert stake(replace(index, evidence=()), shop) == ""


@pytest.mark.parametrize(
    ("database", "name"),
    [
        ("db.example.com/5432/shop", "shop (db.example.com, port 5432)"),
        ("/run/postgresql/5433/shop", "shop (local socket, port 5433)"),
        ("a,b/5432/shop", "shop (a,b, port 5432)"),
        ("/srv/app.sqlite", "/srv/app.sqlite"),
        (":memory:", ":memory:"),
        ("", ""),
    ],
)
def test_the_name_of_a_database(database: str, name: str) -> None:
    assert database_name(database) == name


def test_what_was_not_measured_is_told(shop: Report, index: Recommendation) -> None:
    other = at_level(replace(index, id="other"), Level.WHAT_IF)
    told = headline(replace(shop, recommendations=(index, other)))
    assert told.startswith("2 missing indexes: 46.1 s")
    assert told.endswith("(measured; 1 of 2 findings not measured)")


@pytest.mark.parametrize("level", [Level.WHAT_IF, Level.ESTIMATED, Level.UNVERIFIED])
def test_no_seconds_are_promised_where_none_were_measured(
    shop: Report, index: Recommendation, level: Level
) -> None:
    told = headline(replace(shop, recommendations=(at_level(index, level),)))
    assert told.startswith("1 missing index (")
    assert " s " not in told


def test_findings_of_several_kinds(shop: Report, index: Recommendation) -> None:
    deep = replace(index, id="b", code="DBP306", slug="deep-offset")
    unused = replace(index, id="c", code="DBP102", slug="unused-index")
    told = headline(replace(shop, recommendations=(deep, index, index, unused)))
    assert told.startswith("2 missing indexes, 1 unused index, 1 other finding: ")
    assert headline(replace(shop, recommendations=(deep, deep))).startswith("2 findings: ")


def test_applied_compares_only_what_ran_twice(shop: Report) -> None:
    told = headline(replace(shop, applied=True))
    assert told == "1 missing index, applied: 52.0 s → 5.95 s for the same traffic (8.7x faster, measured)"
    loop = replace(shop.recommendations[0], id="b", code="DBP401", slug="n-plus-one", ddl=())
    more = headline(replace(shop, applied=True, recommendations=(*shop.recommendations, loop)))
    assert more == f"{told}; 1 more finding"
    once = replace(shop.statements[0], after=None)
    told = headline(replace(shop, applied=True, statements=(once, *shop.statements[1:])))
    assert "10.8 s → 5.81 s" in told


def test_no_finding_says_how_much_was_looked_at(shop: Report, empty: Report) -> None:
    clean = replace(shop, recommendations=())
    assert headline(clean) == "Nothing to change in what could be explained: 3 of 4 statements, no finding"
    whole = replace(clean, coverage=Coverage(4, 4, 4))
    assert headline(whole) == "Nothing to change: 4 statements explained, no finding"
    none = replace(clean, coverage=Coverage(4, 4, 0))
    assert headline(none) == "Nothing could be judged: 0 of 4 statements could be explained"
    assert headline(empty).startswith("Nothing to judge")


def test_the_missing_proof_is_named(index: Recommendation) -> None:
    guess = at_level(index, Level.UNVERIFIED)
    assert "copy" in proof_hint(guess, "production")
    assert "--environment staging --verify" in proof_hint(guess, "production")
    assert proof_hint(guess, "disposable") == "run again with --environment disposable --verify"
    assert proof_hint(index, "production") == ""


@pytest.mark.parametrize("source", ["captured", "statistics", "none", "generic"])
def test_every_source_of_parameters_is_told(index: Recommendation, source: str) -> None:
    told: Evidence = replace(index.evidence[0], parameters=source)
    assert parameters_used(told) not in ("", source)


def test_costs_are_summed_by_their_unit_and_never_where_times_are_known(
    shop: Report, index: Recommendation
) -> None:
    assert cost_savings(shop) == []
    lines, orders = at_level(index, Level.WHAT_IF).evidence
    better = replace(orders, cost_after=0.44)
    counted = replace(lines, fingerprint="f9", calls=0, cost_before=9.0, cost_after=3.0, cost_unit="VM steps")
    unknown = replace(lines, fingerprint="f8", cost_after=None)
    other = replace(index, id="other", evidence=(better, counted, unknown))
    both = replace(shop, recommendations=(replace(index, evidence=(lines, orders)), other))
    assert cost_savings(both) == [
        CostSaving("Planner cost, estimated", 6200 * 24310.5, 5000 * 8.44 + 1200 * 0.44, 2),
        CostSaving("VM steps, counted on a copy", 9.0, 3.0, 1),
    ]


def test_complexity_names_what_it_is_made_of() -> None:
    found = Complexity(31, {"joins": 3, "windows": 0, "conditions": 5})
    assert complexity(found) == "complexity 31 of 100: joins 3, conditions 5"
    assert complexity(Complexity()) == complexity(None) == ""
