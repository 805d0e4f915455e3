"""A process ends as it would without dbperf, and what it saw is written, however bad the store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbperf.workload.store.read import read

PROGRAM = """
import resource, signal, sqlite3, sys
import dbperf
from dbperf.workload.flush import flusher
from sqlalchemy import text

trouble, store = sys.argv[1:]
if trouble == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
if trouble.startswith("locked"):
    locker = sqlite3.connect(store, isolation_level=None)
    locker.execute("begin exclusive")
engine = dbperf.create_engine("sqlite://", dbperf=dbperf.Settings(store=store, flush_seconds=1000))

def ask():
    with engine.connect() as connection:
        assert connection.execute(text("select 1 as asked")).scalar_one() == 1

ask()
if trouble == "locked for a while":
    flusher.flush(within=30)
    locker.execute("rollback")
ask()
print("fine")
"""


def run(trouble: str, store: str) -> list[str]:
    """What is said on stderr. The process has 2 s at its end, and here a machine that may be busy."""
    program = [sys.executable, "-c", PROGRAM, trouble, store]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "fine\n")
    return done.stderr.splitlines()


def no_folder(store: Path) -> str:
    return str(store / "no" / "such" / "folder.sqlite")


def garbage(store: Path) -> str:
    store.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    return str(store)


def a_program_of_ours(store: Path) -> str:
    store.write_text("import this")
    return str(store)


TROUBLES: dict[str, Callable[[Path], str]] = {
    "gone": no_folder,
    "corrupt": garbage,
    "no store": a_program_of_ours,
    "locked": str,
    "full": str,
    "nobody listens": lambda store: "postgresql://127.0.0.1:1/nothing",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_bad_store_is_said_once_and_changes_nothing(tmp_path: Path, trouble: str) -> None:
    store = TROUBLES[trouble](tmp_path / "store.sqlite")
    before = Path(store).read_bytes() if Path(store).is_file() else None
    lines = run(trouble, store)
    assert len(lines) <= 1  # a process that ends does not wait for a lock that is held
    assert all(line.startswith("what ran cannot be written for now (") for line in lines)
    if before is not None:
        assert Path(store).read_bytes() == before


def test_a_store_that_was_locked_has_all_and_says_so(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    (line,) = run("locked for a while", str(store))
    assert "locked" in line
    workload = read(store)
    assert [each.calls for each in workload.statements] == [2]
    assert workload.coverage.flush_failures == 1


def test_a_good_store_has_all(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    assert run("none", str(store)) == []
    workload = read(store)
    assert [each.calls for each in workload.statements] == [2]
    assert workload.coverage.flush_failures == 0
