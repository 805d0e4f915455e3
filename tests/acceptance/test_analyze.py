"""`dbperf analyze` where all is well: sources, formats, environments, exit codes."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import psycopg
import pytest
from sqlalchemy import text

import dbperf as package
from dbperf.embedded import Server
from dbperf.workload.file import save
from dbperf.workload.fold import merge

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

SCHEMA = json.loads((files("dbperf.report") / "report.schema.json").read_text("utf-8"))
LOOKUP = "-- the slow page\nSELECT * FROM item WHERE owner = 7;\n"
WANTED = "DBP101:public.item(owner)"


@pytest.fixture(autouse=True)
def _query(dbperf: CommandLine) -> None:
    dbperf.write("q.sql", LOOKUP)


def analyzed(dbperf: CommandLine, *arguments: object) -> dict[str, Any]:
    done = dbperf("analyze", *arguments, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    return report


def run_on(server: Server, database: str, sql: str, repeat: int = 1) -> package.Perf:
    """An application's work, through an instrumented engine."""
    engine = package.create_engine(server.url("psycopg", database))
    with engine.connect() as connection:
        for _ in range(repeat):
            connection.execute(text(sql), {"n": 7}).all()
    engine.dispose()
    return package.perf(engine)


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ((), "unverified"),
        (("--environment", "production"), "unverified"),
        (("--environment", "staging"), "what-if"),
        (("--environment", "disposable", "--verify"), "measured"),
    ],
)
def test_environments(dbperf: CommandLine, db: str, options: tuple[str, ...], level: str) -> None:
    report = analyzed(dbperf, "--db", db, "--sql", "q.sql", *options)
    (advice,) = report["recommendations"]
    assert (advice["id"], advice["verification"]["level"]) == (WANTED, level)
    assert (advice["verification"]["seconds_after"] is not None) == (level == "measured")
    assert (advice["verification"]["cost_after"] is not None) == (level != "unverified")
    assert advice["call_sites"] == [{"file": "q.sql", "line": 2, "function": "", "calls": 0}]
    with psycopg.connect(db) as connection:
        left = connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'item'")
        assert left.fetchall() == [("item_pkey",)]


def test_nothing_is_written_in_production(dbperf: CommandLine, db: str) -> None:
    """A server that lets nobody write says so: it stops what staging does, and is not even noticed here."""
    arguments = ("--db", f"{db} options='-c default_transaction_read_only=on'", "--sql", "q.sql")
    (advice,) = analyzed(dbperf, *arguments)["recommendations"]
    assert advice["id"] == WANTED
    assert analyzed(dbperf, *arguments, "--environment", "staging")["recommendations"] == []


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("info", 1), ("warning", 1), ("error", 0)])
def test_fail_on(dbperf: CommandLine, db: str, fail_on: str, code: int) -> None:
    done = dbperf("analyze", "--db", db, "--sql", "q.sql", "--fail-on", fail_on)
    assert (done.returncode, done.stderr) == (code, "")
    assert "DBP101" in done.stdout


def test_fail_on_without_a_finding(dbperf: CommandLine, db: str) -> None:
    dbperf.write("q.sql", "SELECT * FROM item WHERE id = 7;")
    done = dbperf("analyze", "--db", db, "--sql", "q.sql", "--fail-on", "info")
    assert done.returncode == 0
    assert "fine: uses item_pkey" in done.stdout


def test_workload_of_a_program(dbperf: CommandLine, server: Server, database: str, own_db: str) -> None:
    perf = run_on(server, database, "SELECT * FROM item WHERE owner = :n", repeat=3)
    perf.save(dbperf.folder / "w.dbperf")
    arguments = ("analyze", "--db", own_db, "--workload", "w.dbperf", "--environment", "staging")
    report = analyzed(dbperf, *arguments[1:])
    (statement,) = report["statements"]
    assert (statement["calls"], statement["rows"]) == (3, 63)
    assert statement["call_sites"][0]["file"] == __file__
    (advice,) = report["recommendations"]
    assert advice["evidence"][0]["parameters"] == "statistics"  # values are not kept unless asked for

    shown = dbperf(*arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    for words in (Path(__file__).name, "DBP101", advice["ddl"][0], "SELECT * FROM item WHERE owner = $1"):
        assert words in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 120


def test_workload_of_several_databases(
    dbperf: CommandLine, server: Server, database: str, own_db: str, db: str
) -> None:
    mine = run_on(server, database, "SELECT * FROM item WHERE owner = :n")
    other = run_on(server, "acceptance", "SELECT id FROM item WHERE owner = :n")
    save(merge([mine.workload(), other.workload()]), dbperf.folder / "w.dbperf")
    report = analyzed(dbperf, "--db", own_db, "--workload", "w.dbperf")
    assert [each["database"].rsplit("/", 1)[-1] for each in report["statements"]] == [database]
    assert report["coverage"]["other_databases"] == 1
    line = dbperf.refused("analyze", "--db", server.dsn("postgres"), "--workload", "w.dbperf")
    assert "the workload is of other databases" in line
    assert f"/{database}" in line
    assert "none is named postgres" in line


SHOP = """
CREATE SCHEMA "Sales Dept";
CREATE TABLE "Sales Dept"."Order" ("Id" int PRIMARY KEY, "Customer Id" int NOT NULL, "select" text);
INSERT INTO "Sales Dept"."Order" SELECT i, i % 997, 'row ' || i FROM generate_series(1, 20000) i;
CREATE SCHEMA old;
CREATE TABLE old.item AS SELECT * FROM item;
ANALYZE;
"""
QUERIES = """
SELECT * FROM "Sales Dept"."Order" WHERE "Customer Id" = 7;
SELECT * FROM old.item WHERE owner = 7;
SELECT * FROM item WHERE owner = 7;
"""


def test_schemas_and_quoted_names(dbperf: CommandLine, own_db: str) -> None:
    dbperf.write("q.sql", QUERIES)
    arguments = ("--db", own_db, "--sql", "q.sql", "--environment", "disposable")
    with psycopg.connect(own_db, autocommit=True) as connection:
        connection.execute(SHOP)
        advice = analyzed(dbperf, *arguments)["recommendations"]
        assert {each["id"] for each in advice} == {
            'DBP101:Sales Dept.Order("Customer Id")',
            "DBP101:old.item(owner)",
            "DBP101:public.item(owner)",
        }
        for each in advice:
            for ddl in each["ddl"]:
                connection.execute(ddl)
        report = analyzed(dbperf, *arguments)
    assert report["recommendations"] == []
    assert all(each["verdict"].startswith("fine: uses ix_") for each in report["statements"])
