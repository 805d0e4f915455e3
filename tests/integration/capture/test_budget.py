"""When dbperf takes more than it may, it leaves out detail, and says how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

import dbperf
from dbperf.model.workload import Statement
from dbperf.workload.store.read import read

Only = Callable[[Any, str], Statement]
CALLS = 3000


def run(url: str, budget: float) -> sa.Engine:
    engine = dbperf.create_engine(url, dbperf=dbperf.Settings(overhead_budget_us=budget))
    with dbperf.track("all"), engine.connect() as connection:
        for each in range(CALLS):
            query = sa.text("select cast(:a as int) as asked")
            assert connection.execute(query, {"a": each}).all() == [(each,)]
    engine.dispose()
    return engine


def test_counts_are_exact_though_detail_is_left_out(url: str, only: Only) -> None:
    engine = run(url, budget=0.001)
    asked, workload = only(engine, "asked"), dbperf.perf(engine).workload()
    assert (asked.calls, asked.latency.count) == (CALLS, CALLS)
    coverage = workload.coverage
    assert 0 < coverage.unsplit_calls < coverage.unlocated_calls < CALLS
    assert sum(site.calls for site in asked.call_sites) == CALLS - coverage.unlocated_calls
    assert asked.fetch_seconds > 0
    assert coverage.own_calls > 0
    assert coverage.own_ns > 0
    assert len(asked.call_sites) == 1  # detail is of the same line


def test_nothing_is_left_out_within_the_budget(url: str, only: Only) -> None:
    engine = run(url, budget=1e6)
    asked, coverage = only(engine, "asked"), dbperf.perf(engine).workload().coverage
    assert (coverage.unlocated_calls, coverage.unsplit_calls) == (0, 0)
    assert (asked.calls, asked.rows) == (CALLS, CALLS)
    assert [site.calls for site in asked.call_sites] == [CALLS]
    assert dict(asked.operations) == {"all": CALLS}
    assert coverage.own_calls > 0
    assert coverage.own_seconds > 0


def test_what_is_left_out_is_told_by_the_store_too(tmp_path: Any) -> None:
    store, url = tmp_path / "store.sqlite", f"sqlite:///{tmp_path}/app.sqlite"
    settings = dbperf.Settings(overhead_budget_us=0.001, store=str(store))
    engine = dbperf.create_engine(url, dbperf=settings)
    with engine.connect() as connection:
        for _ in range(CALLS):
            connection.execute(sa.text("select 1 as asked"))
    dbperf.perf(engine).close()
    engine.dispose()
    workload = read(store)
    assert [each.calls for each in workload.statements] == [CALLS]
    assert workload.coverage.unlocated_calls > workload.coverage.unsplit_calls > 0
