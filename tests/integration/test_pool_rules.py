"""What pools did on a real server, measured and judged: what is wrong is told, and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

import dbperf
from dbperf.advice.pools import on_pools
from dbperf.model.recommendation import Level, Recommendation, Severity
from dbperf.model.workload import Workload

THREADS, EACH = 8, 20
WORK = sa.text("select pg_sleep(0.01)")


def crowded(url: str, pool: str) -> Workload:
    """What eight threads did that share two connections."""
    settings = dbperf.Settings(pool=pool)
    engine = dbperf.create_engine(url, pool_size=2, max_overflow=0, dbperf=settings)

    def work() -> None:
        for _ in range(EACH):
            with engine.connect() as connection:
                connection.execute(WORK)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workload = dbperf.perf(engine).workload()
    engine.dispose()
    return workload


@pytest.mark.parametrize("pool", ["adaptive", "sqlalchemy"])
def test_threads_that_wait_for_each_other(psycopg_url: str, pool: str) -> None:
    workload = crowded(psycopg_url, pool)
    (told,) = workload.pools
    assert (told.checkouts, told.busiest, told.limit) == (THREADS * EACH, 2, 2)
    report = dbperf.analyze(workload, psycopg_url)
    (found,) = [each for each in report.recommendations if each.code.startswith("DBP5")]
    assert (found.code, found.id) == ("DBP501", f"DBP501:{told.name}")
    assert found.severity is Severity.ERROR, "they wait for longer than they work"
    assert found.fix in {
        f"let {n} be in use: pool_size + max_overflow = {n}, where they are 2 together" for n in range(4, 9)
    }
    report = dbperf.analyze(workload, psycopg_url, ignore=["pool-too-small"])
    assert not [each for each in report.recommendations if each.code.startswith("DBP5")]
    assert report.coverage.notes[-1].startswith("1 finding left out")


@contextmanager
def engine_of(url: str, pool: str = "adaptive", **keywords: Any) -> Iterator[sa.Engine]:
    engine = dbperf.create_engine(url, dbperf=dbperf.Settings(pool=pool), **keywords)
    yield engine
    engine.dispose()


def found(engine: sa.Engine) -> list[Recommendation]:
    return list(on_pools(dbperf.perf(engine).workload()))


def use(engine: sa.Engine, times: int) -> None:
    for _ in range(times):
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))


def counted(engine: sa.Engine, name: str, least: int = 1) -> None:
    """Wait until the pool, which looks at itself now and then, has counted so much."""
    pool: Any = engine.pool
    until = time.monotonic() + 30
    while pool.metrics.counts()[name] < least:
        assert time.monotonic() < until, pool.metrics.counts()
        time.sleep(0.01)


@pytest.mark.parametrize("pool", ["adaptive", "fifo", "sqlalchemy"])
def test_a_pool_of_which_nothing_is_to_be_said(psycopg_url: str, pool: str) -> None:
    with engine_of(psycopg_url, pool, pool_size=5) as engine:
        use(engine, 1_000)
        assert found(engine) == []


def test_a_reserve_that_is_never_used(psycopg_url: str) -> None:
    with engine_of(psycopg_url, "fifo", max_size=80) as engine:
        use(engine, 1_000)
        counted(engine, "cap.max_size")
        (only,) = found(engine)
    assert (only.code, only.fix) == ("DBP502", "max_size = 2: twice what was ever used")
    assert only.verification.level is Level.ESTIMATED


def test_a_connection_that_is_kept(psycopg_url: str) -> None:
    with engine_of(psycopg_url, leak_after=0.0) as engine:
        kept = engine.connect()
        counted(engine, "leaks")
        (only,) = found(engine)
        assert (only.code, only.severity) == ("DBP503", Severity.ERROR)
        assert [each.function for each in only.call_sites] == ["test_a_connection_that_is_kept"]
        kept.close()
        (only,) = found(engine)
        assert only.severity is Severity.WARNING, "it came back"


def test_work_in_a_transaction_that_needs_no_database(psycopg_url: str) -> None:
    with engine_of(psycopg_url, leak_after=600.0) as engine:
        with ExitStack() as stack:
            for _ in range(12):
                stack.enter_context(engine.connect()).execute(sa.text("select 1"))
            counted(engine, "idle_in_transaction_ns", 6 * 10**9)
        (only,) = found(engine)
    assert only.code == "DBP504"
    assert [each.function for each in only.call_sites] == [
        "test_work_in_a_transaction_that_needs_no_database"
    ]


def test_pings_that_all_are_answered(psycopg_url: str) -> None:
    with engine_of(psycopg_url, "sqlalchemy", pool_pre_ping=True) as engine:
        use(engine, 1_010)
        (only,) = found(engine)
    assert only.code == "DBP505"
    with engine_of(psycopg_url, pool_pre_ping=True) as engine:
        use(engine, 1_010)
        assert found(engine) == [], "the connection had been used just before"
