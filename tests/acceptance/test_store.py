"""`dbperf store`: a history is made, looked at, rolled up, merged, and refused, from the command line."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dbperf.embedded import Server
from dbperf.model.recommendation import Level, Recommendation, Severity, Verification
from dbperf.model.report import Coverage, Report, Target
from dbperf.model.runtime import Figure
from dbperf.model.workload import Observed, Seen, Writer
from dbperf.workload.file import save
from dbperf.workload.fold import fold
from dbperf.workload.store.history import remember
from dbperf.workload.store.tables import HEAD
from dbperf.workload.store.writer import StoreWriter

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

NOBODY = 65534 if os.geteuid() == 0 else None  # root may write anywhere
DAY = 86400
SEEN = Seen((Observed("select 1", "postgresql", "pyformat", "db/5432/shop", calls=2),))
JOB = Seen(figures=(Figure("operation", "job", "", (("calls", 1),)),))


def written(file: Path, *ages: float, number: int = 1) -> Path:
    for age in ages:
        StoreWriter(str(file), Writer(number, "web-1", 4242, 0.0)).write(time.time() - age, SEEN)
    return file


def said(dbperf: CommandLine, *arguments: object) -> str:
    """The line on stderr of a command that ends well and prints nothing."""
    done = dbperf("store", *arguments)
    assert (done.returncode, done.stdout) == (0, ""), done
    (line,) = done.stderr.splitlines()
    return line


def test_a_history_from_its_first_day_on(dbperf: CommandLine) -> None:
    assert said(dbperf, "upgrade") == f"dbperf: dbperf.sqlite: made, schema {HEAD}"
    assert said(dbperf, "upgrade") == f"dbperf: dbperf.sqlite: is of schema {HEAD} already"
    written(dbperf.folder / "dbperf.sqlite", 4 * DAY, 5 * 3600, 0)
    report = dbperf("store", "info").stdout
    assert report.startswith("dbperf.sqlite: 6 calls of 1 statement, ")
    assert "3 rows" in report
    assert ", 2 due" in report
    assert "web-1 4242" in report
    assert "pruned: never; run dbperf store prune" in report
    pruned = "2 minute rows and 1 hour row rolled up, 0 day rows and 0 statements dropped"
    assert said(dbperf, "prune") == f"dbperf: dbperf.sqlite: {pruned}"
    info = json.loads(dbperf("store", "info", "--format", "json").stdout)
    assert (info["calls"], info["operations"], info["schema"], info["processes"]) == (6, 0, HEAD, 1)
    assert [each["rows"] for each in info["windows"]] == [1, 1, 1]
    assert not any(each["due"] for each in info["windows"])
    back = f"dbperf: dbperf.sqlite: schema {HEAD} -> 0001"
    assert said(dbperf, "upgrade", "--to", "0001") == back
    assert f"run dbperf store upgrade {dbperf.folder}/dbperf.sqlite" in dbperf.refused("store", "info")


def test_recordings_are_merged_into_a_history(dbperf: CommandLine) -> None:
    for name in ("monday.sqlite", "tuesday.sqlite"):
        save(fold(SEEN.observed), dbperf.folder / name)
    for _ in range(2):
        done = dbperf("store", "merge", "monday.sqlite", "tuesday.sqlite", "--into", "all.sqlite")
        assert done.stderr.splitlines() == [
            f"dbperf: {day}.sqlite: 2 calls of 1 statement merged into all.sqlite"
            for day in ("monday", "tuesday")
        ]
    assert "all.sqlite: 4 calls of 1 statement" in dbperf("store", "info", "all.sqlite").stdout
    line = dbperf.refused("store", "merge", "all.sqlite", "--into", "all.sqlite")
    assert line == "dbperf: all.sqlite: is all.sqlite itself, or a copy of it"


def test_advice_is_dismissed_by_its_id(dbperf: CommandLine) -> None:
    file = written(dbperf.folder / "dbperf.sqlite", 0)
    verification = Verification(Level.UNVERIFIED, "")
    ddl = ("CREATE INDEX ON item (owner)",)
    rest = (("item",), (), (), ddl, "", (), verification)
    found = Recommendation("abc123", "DBP101", "missing-index", Severity.INFO, "Index item (owner)", *rest)
    report = Report(Target("db/5432/shop", "18", "staging"), (), (found,), Coverage(0, 0, 0))
    remember(file, report, "{}", lambda advice: False)
    assert "advised: 1 open\n    abc123  Index item (owner)  (db/5432/shop)" in dbperf("store", "info").stdout
    assert said(dbperf, "dismiss", "abc123", "--reason", "small") == "dbperf: abc123 is dismissed"
    (advice,) = json.loads(dbperf("store", "info", "--format", "json").stdout)["recommendations"]
    assert (advice["state"], advice["reason"], advice["ddl"]) == ("dismissed", "small", list(ddl))
    assert said(dbperf, "dismiss", "abc123", "--reopen") == "dbperf: abc123 is open again"
    assert "no such recommendation in dbperf.sqlite" in dbperf.refused("store", "dismiss", "xyz")


def test_a_fleets_store(dbperf: CommandLine, server: Server, database: str) -> None:
    url = server.url("psycopg", database).replace("+psycopg", "")
    assert "run dbperf store upgrade" in dbperf.refused("store", "info", url)
    assert said(dbperf, "upgrade", url).endswith(f"/{database}: made, schema {HEAD}")
    sink = StoreWriter(url, Writer(1, "web-1", 4242, 0.0))
    sink.write(0.0, SEEN)
    sink.write(0.0, JOB)
    sink.close()
    assert said(dbperf, "prune", url).endswith(", 0 day rows and 0 statements dropped")
    info = dbperf("store", "info", url).stdout
    assert f"/{database}: 2 calls of 1 statement in 1 operation, " in info
    assert "web-1 4242" in info


@pytest.mark.parametrize("command", ["info", "prune"])
def test_stores_that_are_none(dbperf: CommandLine, command: str) -> None:
    def refusal(name: str) -> str:
        return dbperf.refused("store", command, name).removeprefix(f"dbperf: {name}: ")

    assert refusal("missing.sqlite") == "No such file or directory"
    dbperf.write("empty.sqlite", "")
    dbperf.write("garbage.sqlite", b"\0garbage" * 999)
    (dbperf.folder / "folder").mkdir()
    with closing(sqlite3.connect(dbperf.folder / "other.db")) as other:
        other.execute("CREATE TABLE statement (id)")
        other.commit()
    damaged = written(dbperf.folder / "damaged.sqlite", 0).read_bytes()
    dbperf.write("damaged.sqlite", damaged[:4096] + os.urandom(len(damaged) - 4096))
    before = {path: path.read_bytes() for path in dbperf.folder.iterdir() if path.is_file()}
    assert refusal("garbage.sqlite") == "not a file that dbperf wrote"
    assert refusal("folder") == "not a file"
    assert refusal("other.db") == "another program's SQLite database, not a file that dbperf wrote"
    assert refusal("damaged.sqlite").startswith("the store is damaged (")
    empty = (
        "the file is empty" if command == "info" else "there is no dbperf store in it: run dbperf store up"
    )
    assert refusal("empty.sqlite").startswith(empty)
    assert {path: path.read_bytes() for path in dbperf.folder.iterdir() if path.is_file()} == before


def test_a_store_of_somebody_else(dbperf: CommandLine) -> None:
    for folder in (dbperf.folder, *dbperf.folder.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    file = written(dbperf.folder / "theirs.sqlite", 0)
    file.chmod(0o444)
    dbperf.folder.chmod(0o555)
    assert dbperf("store", "info", "theirs.sqlite", user=NOBODY).returncode == 0
    line = dbperf.refused("store", "prune", "theirs.sqlite", user=NOBODY)
    assert line == "dbperf: theirs.sqlite: cannot be written: no permission"
    assert "Permission denied" in dbperf.refused("store", "upgrade", "new.sqlite", user=NOBODY)
    file.chmod(0o200)
    assert "Permission denied" in dbperf.refused("store", "info", "theirs.sqlite", user=NOBODY)
    dbperf.folder.chmod(0o755)


FULL = """
import resource, signal, sys
from dbperf.errors import StoreError
from dbperf.model.workload import Observed, Seen, Unseen, Writer
from dbperf.workload.store.read import read
from dbperf.workload.store.writer import StoreWriter

def seen(calls):
    texts = (f"SELECT * FROM t{number}" for number in range(800))
    return tuple(Observed(each, "sqlite", "qmark", "/shop", calls=calls) for each in texts)

sink = StoreWriter("s.sqlite", Writer(1, "h", 1, 0.0))
sink.write(1e9, Seen(seen(1)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, unlimited))
for _ in range(2):
    try:
        sink.write(1e9 + 60, Seen(seen(2)))
    except StoreError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
sink.write(1e9 + 120, Seen(seen(3), unseen=Unseen(flush_failures=2)))
print(sum(each.calls for each in read("s.sqlite").statements))
"""


def test_a_full_disk_holds_up_what_was_seen_and_loses_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *refused, total = done.stdout.splitlines()
    assert done.stderr == ""
    assert refused == ["s.sqlite: cannot be read or written: the disk fails, or is full"] * 2
    assert total == "3200"
    assert [path.name for path in tmp_path.iterdir()] == ["s.sqlite"]


def test_options(dbperf: CommandLine) -> None:
    assert "Commands:" in dbperf("store").stderr + dbperf("store").stdout
    assert "--to head: revisions are 0001 to" in dbperf.refused("store", "upgrade", "--to", "head")
    assert "0 is not in the range x>=1" in dbperf.refused("store", "prune", "--days", "0")
    assert "mysql:// is not supported" in dbperf.refused("store", "info", "mysql://root:pw@db/app")
    assert "Missing argument 'SOURCE...'" in dbperf.refused("store", "merge")
    assert list(dbperf.folder.iterdir()) == []


def test_the_settings_name_the_store(dbperf: CommandLine) -> None:
    dbperf.write("pyproject.toml", '[tool.dbperf]\nstore = "ours.sqlite"\n')
    assert said(dbperf, "upgrade").startswith("dbperf: ours.sqlite: made")
