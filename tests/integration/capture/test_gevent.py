"""gevent: greenlets of a thread share a recorder, and their operations do not mix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
import sqlalchemy as sa
import dbperf
settings = dbperf.Settings(store=sys.argv[2])
engine = dbperf.create_engine(sys.argv[1], pool_size=5, max_overflow=0, dbperf=settings)

def work(number):
    with dbperf.track(f"greenlet {number % 4}"), engine.connect() as connection:
        for _ in range(3):
            connection.execute(sa.text("select pg_sleep(0.001), :a"), {"a": number}).all()

gevent.joinall([gevent.spawn(work, number) for number in range(200)], raise_error=True)
print(len(dbperf.perf(engine)._capture.observations.recorders._living))
engine.dispose()
"""


def test_gevent(psycopg_url: str, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    command = [sys.executable, "-c", GEVENT, psycopg_url, str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1\n"  # a recorder for the thread, none for each greenlet
    from dbperf.workload.file import load

    workload = load(store)
    (statement,) = [each for each in workload.statements if "pg_sleep" in each.sql]
    assert statement.calls == 600
    assert dict(statement.operations) == {f"greenlet {number}": 150 for number in range(4)}
    assert sorted(each.calls for each in workload.operations) == [50] * 4
