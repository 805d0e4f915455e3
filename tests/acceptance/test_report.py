"""`dbperf report`: what was saved with --format json or kept in a store, rendered again."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dbperf.model.workload import Statement, Workload
from dbperf.workload.file import save

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine


@pytest.fixture
def saved(dbperf: CommandLine, db: str) -> Path:
    dbperf.write("q.sql", "SELECT * FROM item WHERE owner = 7;\nSELECT 1;\n")
    analyze = ("analyze", "--db", db, "--sql", "q.sql", "--environment", "disposable", "--verify")
    assert dbperf(*analyze, "--format", "json", "-o", "r.json").returncode == 0
    return dbperf.folder / "r.json"


def test_every_format_of_a_saved_report(dbperf: CommandLine, saved: Path) -> None:
    terminal = dbperf("report", "r.json")
    assert (terminal.returncode, terminal.stderr) == (0, "")
    assert terminal.stdout.startswith("1 missing index (measured)\n")

    assert dbperf("report", "r.json", "--format", "json").stdout == saved.read_text()

    done = dbperf("report", "r.json", "--format", "html", "-o", "r.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = (dbperf.folder / "r.html").read_text("ascii")
    assert page.startswith("<!doctype html>")
    assert "item (owner)" in page


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty, not a dbperf report"),
        (b"no report", "not a dbperf report, or not all of one: no JSON from line 1"),
        (b"\x7fELF\x00\xff" * 1000, "not a dbperf report: no JSON"),
        (b'{"a": 1}', "JSON, but not a dbperf report: it has no schema_version"),
        (
            b'{"schema_version": 9}',
            "written by a newer dbperf (schema 9, this one reads up to 1): upgrade dbperf",
        ),
        (b'{"schema_version": 1, "summary": {}}', "not a dbperf report: summary.target: missing"),
    ],
)
def test_a_file_of_garbage(dbperf: CommandLine, content: bytes, says: str) -> None:
    dbperf.write("r.json", content)
    assert dbperf.refused("report", "r.json") == f"dbperf: r.json: {says}"


def test_a_torn_report(dbperf: CommandLine, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:2000])
    line = dbperf.refused("report", "r.json", "--format", "html")
    assert line.startswith("dbperf: r.json: not a dbperf report, or not all of one: no JSON from line ")


def test_what_is_no_file_of_a_report(dbperf: CommandLine) -> None:
    assert dbperf.refused("report", "missing") == "dbperf: missing: No such file or directory"
    assert dbperf.refused("report", ".") == "dbperf: .: Is a directory"
    assert dbperf.refused("report", "/dev/zero") == "dbperf: /dev/zero: larger than any dbperf report"
    with (dbperf.folder / "large").open("wb") as file:
        file.truncate(100_000_001)  # of holes
    assert dbperf.refused("report", "large") == "dbperf: large: larger than any dbperf report"


def test_the_last_report_of_a_store(dbperf: CommandLine, db: str) -> None:
    sql = "SELECT * FROM item WHERE owner = $1"
    save(
        Workload((Statement(sql, "f1", "postgresql", "h/1/shop", 3, 3, 9, 0, 0, 0.5),)),
        dbperf.folder / "w.db",
    )
    captured = dbperf("report", "w.db").stdout
    what = "1 statement, not judged yet: run dbperf analyze"
    assert captured.startswith(f"{what}\nshop (h, port 1) · 1 statement")
    assert captured.endswith("Coverage  1 seen, not judged yet\n")
    document = dbperf("report", "w.db", "--format", "json").stdout
    dbperf.write("r.json", document)
    assert dbperf("report", "r.json", "--format", "json").stdout == document

    analyzed = dbperf("analyze", "--db", db, "--workload", "w.db", "--environment", "disposable")
    assert "item has no index on (owner)" in analyzed.stdout
    again = dbperf("report", "w.db")
    assert again.stdout == analyzed.stdout
    assert re.fullmatch(r"dbperf: w\.db: as analyzed \d{4}-\d\d-\d\d \d\d:\d\d\n", again.stderr)


def test_a_store_keeps_what_another_dbperf_wrote(dbperf: CommandLine) -> None:
    file = dbperf.folder / "w.db"
    save(Workload(()), file)
    run = (1, 1, "h/1/shop", "staging", "18.1", '{"schema_version": 9}')
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "INSERT INTO run (id, at, target, environment, server_version, report) VALUES (?, ?, ?, ?, ?, ?)",
            run,
        )
    says = "written by a newer dbperf (schema 9, this one reads up to 1): upgrade dbperf"
    assert dbperf.refused("report", "w.db") == f"dbperf: w.db: {says}"


def test_a_part_of_a_store(dbperf: CommandLine, db: str) -> None:
    save(Workload((Statement("SELECT 1", "f1", "postgresql", "d", 1, 1),)), dbperf.folder / "w.db")
    analyze = ("analyze", "--db", db, "--workload", "w.db", "--since")
    told = dbperf(*analyze, "2999-01-31T08:30").stdout
    assert told.startswith("Nothing to judge: the workload has no statement for this database")
    assert "of the store, only what ran since 2999-01-31 08:30" in told
    assert "1 statement explained" in dbperf(*analyze, "99999999999d").stdout
    assert "--since takes 90m, 24h, 7d or 2026-01-31, not 'noon'" in dbperf.refused(*analyze, "noon")


PIPE = """
import sys
from dbperf.cli import main
sys.argv = ["dbperf", "report", "-", "--format", sys.argv[1]]
try:
    main()
finally:
    heavy = {"sqlalchemy", "sqlglot", "psycopg", "alembic"} & set(sys.modules)
    print(*heavy, file=sys.stderr, end="")
"""


@pytest.mark.parametrize("form", ["terminal", "html"])
def test_a_pipe_and_nothing_imported_that_a_report_does_not_need(saved: Path, form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PIPE, form], input=saved.read_bytes(), capture_output=True, check=True
    )
    assert done.stderr == b""
    assert b"1 missing index (measured)" in done.stdout


def test_a_store_in_a_pipe(tmp_path: Path) -> None:
    save(Workload(()), tmp_path / "w.db")
    done = subprocess.run(
        [sys.executable, "-c", PIPE, "json"],
        input=(tmp_path / "w.db").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, b"dbperf: -: a store is no stream: name its file\n")


def test_the_saved_report_holds_no_parameter(saved: Path) -> None:
    document = json.loads(saved.read_text())
    assert "samples" not in document["statements"][0]
    assert "parameters" not in document["statements"][0]
