"""`dbperf analyze` on SQLite files, good and bad."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from sqlalchemy import text

import dbperf as package

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

SCHEMA = json.loads((files("dbperf.report") / "report.schema.json").read_text("utf-8"))
ITEMS = """
CREATE TABLE item (id INTEGER PRIMARY KEY, owner INT NOT NULL, kind TEXT NOT NULL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, i % 997, printf('kind %060d', i % 5) FROM n;
"""
LOOKUP = "SELECT * FROM item WHERE owner = 7;\n"


@pytest.fixture
def app(dbperf: CommandLine) -> Path:
    """A database app.db where `q.sql` wants an index on item (owner)."""
    dbperf.write("q.sql", LOOKUP)
    with closing(sqlite3.connect(dbperf.folder / "app.db")) as connection:
        connection.executescript(ITEMS)
    return dbperf.folder / "app.db"


def test_a_missing_index_is_found_and_the_file_stays_as_it_is(dbperf: CommandLine, app: Path) -> None:
    before = app.read_bytes(), app.stat().st_mtime_ns

    done = dbperf("analyze", "--db", "sqlite:///app.db", "--sql", "q.sql", "--fail-on", "warning")

    assert (done.returncode, done.stderr) == (1, "")
    for told in (
        "1 missing index (what-if, nothing timed)",
        f"{app} · SQLite {sqlite3.sqlite_version} · production · 1 statement",
        "CREATE INDEX ix_item_owner ON item (owner);",
        "VM steps 61,000 → 1,000 (counted on a copy, not time), the values as given",
        "Scan on item → Search on item using ix_item_owner",
        'Index("ix_item_owner", "owner") in __table_args__ of the model of item',
        "what-if: a real index, built on a copy of the file, where steps were counted up to 20 million",
        "while CREATE INDEX runs, nobody else can write to the file",
    ):
        assert told in " ".join(done.stdout.split())
    assert "planner" not in done.stdout
    assert (app.read_bytes(), app.stat().st_mtime_ns) == before
    assert sorted(each.name for each in dbperf.folder.iterdir()) == ["app.db", "q.sql"]


def test_a_recorded_workload_is_verified(dbperf: CommandLine, app: Path) -> None:
    engine = package.create_engine(f"sqlite:///{app}", dbperf=package.Settings(capture_parameters=True))
    with engine.connect() as connection:
        for owner in (3, 5, 7):
            connection.execute(text("SELECT * FROM item WHERE owner = :owner"), {"owner": owner}).all()
    package.perf(engine).save(dbperf.folder / "w.sqlite")
    engine.dispose()

    arguments = ("--workload", "w.sqlite", "--environment", "staging", "--verify", "--format", "json")
    done = dbperf("analyze", "--db", f"sqlite+aiosqlite:///{app}", *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    (advised,) = report["recommendations"]
    assert advised["id"] == "DBP101:item(owner)"
    assert advised["verification"]["level"] == "measured"
    assert advised["verification"]["seconds_after"] < advised["verification"]["seconds_before"]
    assert advised["evidence"][0]["cost_unit"] == "VM steps"
    assert report["statements"][0]["call_sites"][0]["file"] == __file__
    dbperf.write("report.json", done.stdout)
    again = dbperf("report", "report.json", "--format", "html")
    assert again.returncode == 0
    assert "VM steps" in again.stdout


def test_verify_is_not_for_production(dbperf: CommandLine, app: Path) -> None:
    line = dbperf.refused("analyze", "--db", "sqlite:///app.db", "--sql", "q.sql", "--verify")
    assert "--environment staging" in line


def test_no_file_to_read(dbperf: CommandLine, app: Path) -> None:
    (dbperf.folder / "folder.db").mkdir()
    for address, reason in {
        "sqlite:///missing.db": f"{app.with_name('missing.db')}: no such file",
        "sqlite:///folder.db": "folder.db: a folder",
        "sqlite:////dev/null": "/dev/null: not a file",
        "sqlite://": "a SQLite database in memory ends with its process",
        "sqlite:///:memory:": "a SQLite database in memory ends with its process",
        "sqlite+pysqlite://": "a SQLite database in memory ends with its process",
        "sqlite:app.db": "not a database URL; give a file, sqlite:///relative.db or sqlite:////absolute.db",
    }.items():
        line = dbperf.refused("analyze", "--db", address, "--sql", "q.sql")
        assert line.startswith("dbperf: --db: ")
        assert reason in line
    assert not app.with_name("missing.db").exists()


def test_no_database(dbperf: CommandLine, app: Path) -> None:
    good = app.read_bytes()
    for content, reason in (
        (b"\x00garbage" * 999, "not a SQLite database, or an encrypted one"),
        (b"short", "not a SQLite database, or an encrypted one"),
        (good[:100] + b"\xff" * (len(good) - 100), "damaged"),
        (good[: len(good) // 2], "damaged"),
    ):
        broken = dbperf.write("broken.db", content)
        line = dbperf.refused("analyze", "--db", "sqlite:///broken.db", "--sql", "q.sql")
        assert f"{broken}: {reason}" in line
        assert broken.read_bytes() == content


def test_an_empty_file_is_a_database_without_tables(dbperf: CommandLine, app: Path) -> None:
    dbperf.write("empty.db", "")
    done = dbperf("analyze", "--db", "sqlite:///empty.db", "--sql", "q.sql")
    assert done.returncode == 0
    assert "not explained: no such table: item" in done.stdout


def test_what_may_not_be_read(dbperf: CommandLine, app: Path) -> None:
    app.chmod(0o600)
    line = dbperf.refused("analyze", "--db", "sqlite:///app.db", "--sql", "q.sql", user=65534)
    assert f"{app}: Permission denied" in line


_DIES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE item SET owner = -1")
os.kill(os.getpid(), 9)
"""


def test_a_writer_that_died_halfway(dbperf: CommandLine, app: Path) -> None:
    subprocess.run([sys.executable, "-c", _DIES, app], check=False)
    names = sorted(each.name for each in dbperf.folder.iterdir())
    assert "app.db-journal" in names
    line = dbperf.refused("analyze", "--db", "sqlite:///app.db", "--sql", "q.sql")
    assert "app.db: its last writer died: open it with the application once, then try again" in line
    assert sorted(each.name for each in dbperf.folder.iterdir()) == names


def test_a_syntax_error_is_told_with_its_line(dbperf: CommandLine, app: Path) -> None:
    dbperf.write("q.sql", f"{LOOKUP}SELECT * FROM item WHERE;\n")
    done = dbperf("analyze", "--db", "sqlite:///app.db", "--sql", "q.sql")
    assert done.returncode == 2
    assert done.stderr.startswith("dbperf: q.sql:2: not explained: SQLite finds a syntax error: ")
    assert "ix_item_owner" in done.stdout


def test_counters_of_postgresql_are_not_asked_for(dbperf: CommandLine, app: Path) -> None:
    line = dbperf.refused("analyze", "--db", "sqlite:///app.db", "--from", "pg_stat_statements")
    assert "--from pg_stat_statements is PostgreSQL's" in line
