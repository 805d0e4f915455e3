"""An engine with a store: what it does is there when the process has ended, its children's too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dbperf.workload.store.read import read

PROGRAM = """
import multiprocessing, sys, threading
import dbperf
from sqlalchemy import text
from sqlalchemy.pool import NullPool

def ask(name):
    with engine.connect() as connection:
        connection.execute(text(f"SELECT :a AS {name}"), {"a": "secret"})

engine = dbperf.create_engine("sqlite://", poolclass=NullPool)
ask("parent")

def in_child():
    ask("child")
    dbperf.perf(engine).close()

child = multiprocessing.get_context("fork").Process(target=in_child)
child.start()
child.join()
closed = dbperf.create_engine("sqlite://")
with closed.connect() as connection:
    connection.execute(text("SELECT 1 AS closed"))
dbperf.perf(closed).close()
ask("parent")
print(threading.enumerate())
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=folder,
        env=os.environ | {"DBPERF_FLUSH_SECONDS": "60"} | environment,
        check=True,
        capture_output=True,
        text=True,
    )


def test_all_is_in_the_store_at_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, DBPERF_STORE="here.sqlite")
    assert (done.stdout.count("Thread("), done.stderr) == (1, "")
    workload = read(tmp_path / "here.sqlite")
    calls = {re.findall(r" AS (\w+)", each.sql)[0]: each.calls for each in workload.statements}
    assert calls == {"parent": 2, "child": 1, "closed": 1}
    assert not any(each.samples for each in workload.statements)


def test_a_store_that_cannot_be_written_is_told_once_and_changes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, DBPERF_STORE="no/such/folder/x.sqlite")
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2  # the child's is one, too
    assert all(line.startswith(f"what ran cannot be written for now ({tmp_path}/no/such/") for line in lines)


@pytest.mark.parametrize("off", [{"DBPERF_ENABLED": "0"}, {"DBPERF_STORE": ""}])
def test_no_store(tmp_path: Path, off: dict[str, str]) -> None:
    run(tmp_path, **{"DBPERF_STORE": "here.sqlite"} | off)
    assert list(tmp_path.iterdir()) == []
