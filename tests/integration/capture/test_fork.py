"""A process that is forked in the middle of everything: the child starts empty and is seen by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dbperf.workload.store.read import read

PROGRAM = """
import multiprocessing, os, sys, threading
import dbperf
from dbperf.capture import settled
from sqlalchemy import text

way, url, store = sys.argv[1:]
engine = dbperf.create_engine(url, dbperf=dbperf.Settings(store=store, flush_seconds=0.05))
recorders = dbperf.perf(engine)._capture.observations.recorders

def ask(name):
    with dbperf.track(name), engine.connect() as connection:
        connection.execute(text(f"select 1 as {name}"))

def in_child():
    engine.dispose(close=False)
    assert dbperf.perf(engine).workload().statements == ()
    ask("warm")
    threads = [threading.Thread(target=lambda: [ask("child") for _ in range(10)]) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    dbperf.perf(engine).close()

def fork():
    if way == "os.fork":
        pid = os.fork()
        if not pid:
            try:
                in_child()
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    else:
        child = multiprocessing.get_context("fork").Process(target=in_child)
        child.start()
        child.join()
        assert child.exitcode == 0

done, counts = threading.Event(), []

def busily():
    count = 0
    while not done.is_set():
        ask("parent")
        count += 1
    counts.append(count)

def hold(lock, held, release):
    with lock:
        held.set()
        release.wait()

threads = [threading.Thread(target=busily) for _ in range(3)]
for each in threads:
    each.start()
for lock in (None, recorders._lock, settled.lock):
    held, release = threading.Event(), threading.Event()
    if lock is not None:
        holder = threading.Thread(target=hold, args=(lock, held, release))
        holder.start()
        held.wait()
    fork()
    if lock is not None:
        release.set()
        holder.join()
done.set()
for each in threads:
    each.join()
ask("after")
print(sum(counts))
"""


@pytest.mark.parametrize("way", ["os.fork", "multiprocessing"])
def test_a_fork_while_threads_work_and_locks_are_held(psycopg_url: str, tmp_path: Path, way: str) -> None:
    store = tmp_path / "store.sqlite"
    program = [sys.executable, "-c", PROGRAM, way, psycopg_url, str(store)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    workload = read(store)
    calls = {each.sql.split()[-1]: each.calls for each in workload.statements}
    assert calls == {"parent": int(done.stdout), "warm": 3, "child": 60, "after": 1}
    assert {each.name: each.calls for each in workload.operations} == calls
    assert sum(each.checkouts for each in workload.pools) == sum(calls.values())
