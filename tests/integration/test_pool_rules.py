"""A pool that is too small for its threads, measured on a real server and judged."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

import dbperf
from dbperf.model.recommendation import Severity
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
