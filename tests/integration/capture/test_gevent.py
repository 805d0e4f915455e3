"""Greenlets of gevent, which has patched what Python waits with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dbperf.workload.store.read import read

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import json, sys, threading
import gevent
from sqlalchemy import text
import dbperf

url, store = sys.argv[1:]
engine = dbperf.create_engine(
    url, pool_size=20, max_overflow=0, dbperf=dbperf.Settings(store=store, flush_seconds=0.05)
)
at_once, most = 0, 0

def work(number):
    global at_once, most
    with dbperf.track(f"kind {number % 4}"):
        for each in range(5):
            with engine.connect() as connection:
                at_once += 1
                most = max(most, at_once)
                query = text("select pg_sleep(0.001), cast(:a as int) as asked")
                assert connection.execute(query, {"a": number}).one()[1] == number
                at_once -= 1

gevent.joinall([gevent.spawn(work, number) for number in range(200)], raise_error=True)
recorders = dbperf.perf(engine)._capture.observations.recorders
living = sum(bool(recorder.slots) for _, recorder in recorders._living)
print(json.dumps({"most": most, "recorders": living, "checked out": engine.pool.checkedout()}))
"""


def test_greenlets(psycopg_url: str, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    program = [sys.executable, "-c", PROGRAM, psycopg_url, str(store)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["most"] > 1  # they did take turns
    assert (told["recorders"], told["checked out"]) == (1, 0)
    workload = read(store)
    (asked,) = workload.statements
    assert (asked.calls, asked.rows, asked.latency.count) == (1000, 1000, 1000)
    operations = {each.name: (each.calls, each.statements) for each in workload.operations}
    assert operations == {f"kind {number}": (50, 250) for number in range(4)}
    assert dict(asked.operations) == {f"kind {number}": 250 for number in range(4)}
    (pool,) = workload.pools
    assert (pool.checkouts, pool.held.count, pool.limit) == (1000, 1000, 20)
    assert pool.busiest <= 20
    assert asked.wait_seconds > 0
