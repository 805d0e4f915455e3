"""Advice is remembered with what became of it; facts and plans are given back as they came."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dbperf.errors import InputError, StoreError
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.report import Coverage, Report, Target
from dbperf.workload.file import save
from dbperf.workload.fold import fold
from dbperf.workload.store.cache import get_facts, get_plans, put_facts, put_plans
from dbperf.workload.store.history import (
    State,
    dismiss,
    last_run,
    recommendations,
    remember,
    reopen,
)
from dbperf.workload.store.prune import prune
from dbperf.workload.store.upgrade import upgrade

SHOP, COPY = "db/5432/shop", "copy/5432/shop"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    upgrade(tmp_path / "store.sqlite")
    return tmp_path / "store.sqlite"


def index_on(column: str) -> Recommendation:
    ddl = (f"CREATE INDEX ON item ({column})",)
    evidence = (Evidence("f1", "select 1", 3, "none", 0, "", "", 10.0, 1.0),)
    verification = Verification(Level.WHAT_IF, "built")
    rest = (("item",), ("f1",), (), ddl, "", evidence, verification)
    return Recommendation(column, "DBP101", "missing-index", Severity.WARNING, f"index on {column}", *rest)


def run(file: Path, *columns: str, target: str = SHOP, applied: bool = False) -> dict[str, State]:
    found = tuple(index_on(column) for column in columns)
    report = Report(Target(target, "18.1", "staging"), (), found, Coverage(0, 0, 0))
    return remember(file, report, json.dumps(columns), lambda advice: applied)


def report(file: Path, target: str | None = None) -> str | None:
    last = last_run(file, target)
    return last.report if last else None


def test_what_becomes_of_a_recommendation(file: Path) -> None:
    assert run(file, "a", "b") == {"a": "open", "b": "open"}
    assert run(file, "a") == {"a": "open", "b": "gone"}
    assert run(file, "b") == {"a": "gone", "b": "open"}
    assert run(file, applied=True) == {"a": "gone", "b": "applied"}
    assert run(file, "b") == {"a": "gone", "b": "open"}  # somebody dropped the index
    dismiss(file, "b", "the table is\nsmall")
    assert run(file, "b") == {"a": "gone", "b": "dismissed"}
    assert run(file, applied=True) == {"a": "gone", "b": "dismissed"}
    first, second = recommendations(file)
    assert (first.id, first.state) == ("a", State.GONE)
    assert (second.id, second.state, second.reason) == ("b", State.DISMISSED, "the table is\nsmall")
    assert second.ddl == ("CREATE INDEX ON item (b)",)
    reopen(file, "b")
    assert run(file, "b") == {"a": "gone", "b": "open"}
    assert recommendations(file)[0].reason == ""


def test_who_is_asked_whether_it_was_applied_sees_what_was_advised(file: Path) -> None:
    run(file, "a", "b")
    asked = []
    report = Report(Target(SHOP, "18.1", "staging"), (), (), Coverage(0, 0, 0))
    remember(file, report, "{}", lambda advice: bool(asked.append(advice.ddl)))
    assert sorted(asked) == [("CREATE INDEX ON item (a)",), ("CREATE INDEX ON item (b)",)]
    remember(file, report, "{}", lambda advice: bool(asked.append(advice.ddl)))
    assert len(asked) == 2


def test_targets_are_apart_and_a_decision_is_for_all(file: Path) -> None:
    run(file, "a")
    run(file, "a", "b", target=COPY)
    assert run(file) == {"a": "gone"}
    assert {(each.target, each.id): each.state for each in recommendations(file)} == {
        (SHOP, "a"): "gone",
        (COPY, "a"): "open",
        (COPY, "b"): "open",
    }
    assert [each.id for each in recommendations(file, COPY)] == ["a", "b"]
    dismiss(file, "a", "no")
    assert [each.state for each in recommendations(file) if each.id == "a"] == ["dismissed"] * 2


def test_the_last_run(file: Path) -> None:
    assert report(file) is None
    for column, target in (("a", SHOP), ("b", COPY), ("c", SHOP)):
        run(file, column, target=target)
    assert report(file) == '["c"]'
    assert report(file, COPY) == '["b"]'
    assert report(file, "elsewhere") is None


def test_runs_keep_their_evidence_until_they_expire(file: Path) -> None:
    for column in ("a", "b"):
        run(file, column)
    run(file, "c", target=COPY)
    with closing(sqlite3.connect(file)) as database:
        evidence = database.execute("select evidence from finding where recommendation_id = 'a'").fetchone()
        assert json.loads(evidence[0])["evidence"][0]["cost_after"] == 1.0
        reports = database.execute("select report from run order by at").fetchall()
        assert reports == [("",), ('["b"]',), ('["c"]',)]  # one a target
        prune(file, now=1e11)
        assert database.execute("select report from run order by at").fetchall() == [('["b"]',), ('["c"]',)]
        assert database.execute("select count(*) from finding").fetchone() == (2,)
    assert len(recommendations(file)) == 3


def test_a_decision_on_what_was_never_advised(file: Path) -> None:
    for decide in (lambda: dismiss(file, "x", ""), lambda: reopen(file, "x")):
        with pytest.raises(InputError, match=r"^x: no such recommendation in "):
            decide()


def test_what_became_of_advice_outlives_the_recording_it_was_given_on(tmp_path: Path) -> None:
    file = tmp_path / "w.sqlite"
    save(fold([]), file)
    run(file, "a", "b")
    dismiss(file, "b", "small")
    before = recommendations(file)
    save(fold([]), file)
    assert recommendations(file) == before
    assert last_run(file) is None  # of another workload
    assert run(file, "b", applied=True) == {"a": "applied", "b": "dismissed"}


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        run(tmp_path / "missing.sqlite", "a")
    assert list(tmp_path.iterdir()) == []


def test_facts_come_back_for_their_version(file: Path) -> None:
    keys = [(f"f{number}", "postgresql") for number in range(3)]
    put_facts(file, "1", dict.fromkeys(keys, "old"))
    put_facts(file, "2", {keys[0]: "new", ("f1", "sqlite"): "other"})
    put_facts(file, "2", {keys[0]: "newer"})
    assert get_facts(file, "2", keys) == {keys[0]: "newer"}
    assert get_facts(file, "1", [*keys, ("f9", "sqlite")]) == dict.fromkeys(keys, "old")
    assert get_facts(file, "3", keys) == {}


def test_plans_come_back_while_they_hold(file: Path) -> None:
    put_plans(file, SHOP, "monday", {(1, "a"): "one", (1, "b"): "two", (2, "a"): "three"})
    put_plans(file, SHOP, "tuesday", {(1, "a"): "four"})
    wanted = [1, 3]
    assert get_plans(file, SHOP, "monday", wanted) == {(1, "b"): "two"}
    assert get_plans(file, SHOP, "tuesday", wanted) == {(1, "a"): "four"}
    assert get_plans(file, COPY, "monday", wanted) == {}
    assert get_plans(file, SHOP, "monday", []) == {}
