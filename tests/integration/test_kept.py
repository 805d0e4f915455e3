"""An analysis that keeps what it found in a store, and asks it first the next time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbperf.analysis import analyze
from dbperf.embedded import Server
from dbperf.model.plan import Plan
from dbperf.model.report import Report
from dbperf.model.workload import Sample, Statement, Workload
from dbperf.plans.postgres import PostgresTarget
from dbperf.plans.remembered import remembered
from dbperf.plans.target import open_target
from dbperf.report import json
from dbperf.workload.file import load, save
from dbperf.workload.store.history import dismiss, last_run, recommendations

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, owner text NOT NULL, at int NOT NULL, pad text);
INSERT INTO orders SELECT i, 'owner' || i % 3000, i, repeat('x', 80) FROM generate_series(1, 30000) i;
CREATE TABLE small (id int);
ANALYZE;
"""
SECRET = "hunter2-of-somebody"
BY_OWNER = "SELECT * FROM orders WHERE owner = $1"
OWNER_INDEX = "DBP101:public.orders(owner)"


@pytest.fixture
def shop(server: Server, database: str, tmp_path: Path) -> tuple[str, str]:
    """A database, and a store with a workload on it."""
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(ORDERS)
    store = tmp_path / "store.sqlite"
    samples = (Sample(BY_OWNER, ("owner7",)), Sample(BY_OWNER, (SECRET,)))
    owner = Statement(BY_OWNER, "f1", "postgresql", "d", 10, 10, execute_seconds=1.0, samples=samples)
    small = Statement("SELECT * FROM small", "f2", "postgresql", "d", 5, 5, execute_seconds=0.1)
    save(Workload((owner, small)), store)
    return server.dsn(database), str(store)


def change(dsn: str, sql: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.encode())


def run(shop: tuple[str, str], environment: str = "staging") -> Report:
    dsn, store = shop
    return analyze(load(store), dsn, environment=environment, store=store)


def states(store: str) -> dict[str, str]:
    return {each.id: each.state.value for each in recommendations(store)}


def test_what_becomes_of_an_index(shop: tuple[str, str]) -> None:
    dsn, store = shop
    report = run(shop)
    assert [each.id for each in report.recommendations] == [OWNER_INDEX]
    kept = last_run(store)
    assert kept is not None
    assert kept.report == json.render(report, indent=None)
    change(dsn, "CREATE INDEX by_owner ON orders (owner, at)")
    run(shop)
    assert states(store) == {OWNER_INDEX: "applied"}
    change(dsn, "DROP INDEX by_owner")
    run(shop)
    assert states(store) == {OWNER_INDEX: "open"}
    change(dsn, "TRUNCATE orders; ANALYZE orders")
    run(shop)
    assert states(store) == {OWNER_INDEX: "gone"}


def test_an_index_by_the_name_proposed_counts_whatever_its_keys(shop: tuple[str, str]) -> None:
    dsn, store = shop
    run(shop)
    change(dsn, "CREATE INDEX ix_orders_owner ON orders (owner text_pattern_ops)")
    change(dsn, "TRUNCATE orders; ANALYZE orders")
    run(shop)
    assert states(store) == {OWNER_INDEX: "applied"}


def test_advice_stays_open_while_its_statement_is_not_judged(shop: tuple[str, str]) -> None:
    dsn, store = shop
    run(shop)
    owner, small = load(store).statements
    rare = replace(owner, execute_seconds=small.execute_seconds / 2)
    for part in (Workload((small,)), Workload((small, rare))):
        report = analyze(part, dsn, environment="staging", store=store, top=1)
        assert report.recommendations == ()
        assert states(store) == {OWNER_INDEX: "open"}


def test_what_was_dismissed_is_left_out_and_said(shop: tuple[str, str]) -> None:
    _, store = shop
    run(shop)
    dismiss(store, OWNER_INDEX, "archived in May")
    report = run(shop)
    assert (report.recommendations, report.worst()) == ((), None)
    assert report.coverage.notes == (f"dismissed and left out: {OWNER_INDEX} (archived in May)",)
    assert all(not each.recommendations for each in report.statements)
    assert report.statements[0].verdict.startswith("dismissed: missing index on (owner): ")
    assert states(store) == {OWNER_INDEX: "dismissed"}


def explained(shop: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many plans the server was asked for in an analysis of production."""
    asked = []
    explain = PostgresTarget.explain

    def counted(self: PostgresTarget, sql: str, parameters: Sequence[Any] | None) -> Plan:
        asked.append(sql)
        return explain(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresTarget, "explain", counted)
        run(shop, "production")
    return len(asked)


@pytest.mark.parametrize(
    "changed",
    [
        "CREATE INDEX ON orders (at)",
        "INSERT INTO orders SELECT i, 'new', i FROM generate_series(30001, 90000) i; ANALYZE orders",
        "ALTER DATABASE {database} SET enable_seqscan = off",
    ],
)
def test_plans_are_made_again_only_where_something_changed(
    shop: tuple[str, str], database: str, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, _ = shop
    assert explained(shop, monkeypatch) == 3
    assert explained(shop, monkeypatch) == 0
    change(dsn, changed.format(database=database))
    assert explained(shop, monkeypatch) in {2, 3}  # those that read orders, at least
    assert explained(shop, monkeypatch) == 0


def test_what_is_kept_and_cannot_be_read_is_made_again(
    shop: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, store = shop
    first = explained(shop, monkeypatch)
    for body in ("[1", "7", '["SELECT * FROM small", {}]', '{"root": 7}'):
        with closing(sqlite3.connect(store)) as database, database:
            database.execute("UPDATE facts SET body = ?", [body])
            database.execute("UPDATE plan SET body = ?", [body])
        assert explained(shop, monkeypatch) == first
    assert explained(shop, monkeypatch) == 0


def test_a_report_is_the_same_from_memory(shop: tuple[str, str]) -> None:
    for environment in ("production", "staging"):
        assert json.render(run(shop, environment)) == json.render(run(shop, environment))


def test_a_view_s_plan_is_made_each_time(shop: tuple[str, str]) -> None:
    dsn, store = shop
    change(dsn, "CREATE VIEW recent AS SELECT * FROM orders WHERE at > 29000")
    statement = Statement("SELECT * FROM recent", "f3", "postgresql", "d", 1, 1)
    for _ in range(2):
        with open_target(dsn) as target, remembered(target, store, [statement]) as asked:
            facts = asked.facts(statement)
            asked.explain(facts.sql, ())
            assert not vars(asked)["new_plans"]


def test_no_value_is_kept_beyond_the_samples(shop: tuple[str, str]) -> None:
    """Plans repeat what they were made with."""
    dsn, store = shop
    run(shop, "production")
    workload = load(store)
    bare = Workload(
        tuple(Statement(each.sql, each.fingerprint, each.dialect, "d", 1) for each in workload.statements)
    )
    Path(store).unlink()
    save(bare, store)
    analyze(workload, dsn, store=store)
    content = Path(store).read_bytes()
    assert b"Seq Scan" in content
    assert SECRET.encode() not in content
    assert b"owner7" not in content


def test_a_store_that_cannot_be_written_is_a_note(shop: tuple[str, str], tmp_path: Path) -> None:
    dsn, store = shop
    workload = load(store)
    missing = str(tmp_path / "gone" / "store.sqlite")
    report = analyze(workload, dsn, environment="staging", store=missing)
    assert [each.id for each in report.recommendations] == [OWNER_INDEX]
    assert report.coverage.notes == (f"this report is not kept: {missing}: No such file or directory",)
