"""Files, options and SQL that cannot be used: one line, exit code 2, and no file touched."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from dbperf.errors import StatementError
from dbperf.model.workload import Statement, Workload
from dbperf.plans.connect import connect
from dbperf.plans.explain import explain
from dbperf.statements import analyze_statement
from dbperf.workload.file import save

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

GOOD = "SELECT * FROM item WHERE owner = 7;\n"
MACHINE_CODE = b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)) * 20


def workload_file(path: Path) -> Path:
    statements = [
        Statement(f"SELECT * FROM item WHERE id = $1 AND {n} = {n}", str(n), "postgresql", "h/1/shop")
        for n in range(300)
    ]
    save(Workload(tuple(statements)), path)
    return path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.sql", None, "No such file or directory"),
        ("empty.sql", b"", "no SQL statement in it"),
        ("comments.sql", b"-- nothing\n\\set aid 1\n/* here */ ;\n", "no SQL statement in it"),
        ("program.sql", MACHINE_CODE, "not a text file in UTF-8"),
        ("utf16.sql", GOOD.encode("utf-16"), "not a text file in UTF-8"),
        ("utf16le.sql", GOOD.encode("utf-16-le"), "not a text file in UTF-8"),
        ("latin1.sql", "SELECT 'é';".encode("latin-1"), "not a text file in UTF-8"),
    ],
)
def test_sql_file(dbperf: CommandLine, db: str, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        dbperf.write(name, content)
    assert dbperf.refused("analyze", "--db", db, "--sql", name) == f"dbperf: {name}: {says}"


def test_folder_without_sql(dbperf: CommandLine, db: str) -> None:
    dbperf.write("readme.txt", GOOD)
    line = dbperf.refused("analyze", "--db", db, "--sql", ".")
    assert line == "dbperf: .: no *.sql file below this folder"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        (b"", "the file is empty"),
        (b"garbage" * 999, "not a file that dbperf wrote"),
        (GOOD.encode(), "not a file that dbperf wrote"),
        (MACHINE_CODE, "not a file that dbperf wrote"),
    ],
)
def test_workload_that_is_none(dbperf: CommandLine, db: str, content: bytes | None, says: str) -> None:
    if content is not None:
        dbperf.write("w.dbperf", content)
    assert says in dbperf.refused("analyze", "--db", db, "--workload", "w.dbperf")
    assert content is None or (dbperf.folder / "w.dbperf").read_bytes() == content


def test_workload_that_is_a_folder_or_another_programs(dbperf: CommandLine, db: str) -> None:
    assert "not a file" in dbperf.refused("analyze", "--db", db, "--workload", ".")
    with closing(sqlite3.connect(dbperf.folder / "other.db")) as connection:
        connection.execute("CREATE TABLE statement (id)")
        connection.commit()
    line = dbperf.refused("analyze", "--db", db, "--workload", "other.db")
    assert "another program's SQLite database" in line


def test_workload_of_a_newer_dbperf(dbperf: CommandLine, db: str) -> None:
    path = workload_file(dbperf.folder / "newer.dbperf")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    line = dbperf.refused("analyze", "--db", db, "--workload", path.name)
    assert "written by a newer dbperf (schema 9999" in line
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_torn_workload(dbperf: CommandLine, db: str, share: float) -> None:
    content = workload_file(dbperf.folder / "whole.dbperf").read_bytes()
    torn = dbperf.write("torn.dbperf", content[: int(len(content) * share)])
    line = dbperf.refused("analyze", "--db", db, "--workload", "torn.dbperf")
    assert line.startswith("dbperf: torn.dbperf: ")
    assert sorted(dbperf.folder.iterdir()) == sorted([torn, dbperf.folder / "whole.dbperf"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sql", "q.sql", "--format", "xml"], "'xml' is not one of 'terminal', 'json'"),
        (["--sql", "q.sql", "--fail-on", "fatal"], "'fatal' is not one of 'never', 'info'"),
        (["--sql", "q.sql", "--environment", "prod"], "'prod' is not one of 'production', 'staging'"),
        (["--sql", "q.sql", "--verify"], "--verify builds indexes and runs statements; point --db at a copy"),
        (["--sql", "q.sql", "--workload", "w"], "give one of --workload FILE, --sql FILE|DIR"),
        ([], "give one of --workload FILE, --sql FILE|DIR"),
        (["--sql", "q.sql", "surplus"], "unexpected extra argument (surplus)"),
        (["--sql", "q.sql", "--colour"], "No such option '--colour'"),
    ],
)  # fmt: skip
def test_options(dbperf: CommandLine, db: str, arguments: list[str], says: str) -> None:
    dbperf.write("q.sql", GOOD)
    assert says in dbperf.refused("analyze", "--db", db, *arguments)


def test_commands(dbperf: CommandLine) -> None:
    dbperf.write("q.sql", GOOD)
    assert "Missing option '--db'" in dbperf.refused("analyze", "--sql", "q.sql")
    assert "No such command 'analyse'" in dbperf.refused("analyse")
    done = dbperf()
    assert done.returncode == 2
    assert "analyze" in done.stdout


def test_what_does_not_parse_is_told_and_the_rest_is_judged(dbperf: CommandLine, db: str) -> None:
    (dbperf.folder / "sql").mkdir()
    dbperf.write("sql/a.sql", f"{GOOD}\n\nSELEC * FROM item;\n")
    dbperf.write("sql/b.sql", "SELECT 1 FROM item WHERE (id = 1;\nSELECT * FROM item WHERE id = 3;\n")
    done = dbperf("analyze", "--db", db, "--sql", "sql", "--format", "json")
    assert done.returncode == 2
    reason = "not explained: the server finds a syntax error: syntax error at or near"
    assert done.stderr.splitlines() == [
        f'dbperf: sql/a.sql:4: {reason} "SELEC"',
        f'dbperf: sql/b.sql:1: {reason} ";"',
    ]
    report = json.loads(done.stdout)
    assert [each["id"] for each in report["recommendations"]] == ["DBP101:public.item(owner)"]
    assert [each["syntax_error"] for each in report["coverage"]["skipped"]] == [True, True]


# Each is PostgreSQL's SQL, and sqlglot (or dbperf) is at a loss with most of it.
VALID = """
SELECT * FROM item ORDER BY owner USING <;
SELECT ((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))));
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(1, 3)) AS g (a, b);
SELECT id FROM item FOR NO KEY UPDATE OF item SKIP LOCKED;
SELECT OPERATOR(pg_catalog.-) 5, 1 OPERATOR(pg_catalog.+) 2;
SECURITY LABEL ON TABLE item IS NULL;
CREATE PUBLICATION p FOR TABLE item WHERE (id > 3);
ALTER SYSTEM RESET work_mem;
COPY item TO STDOUT;
VACUUM (PARALLEL 2) item;
TABLE tiny;
VALUES (1, 2), (3, 4);
MERGE INTO tiny t USING item i ON t.id = i.id WHEN MATCHED THEN DO NOTHING;
"""


def test_what_only_the_server_can_read_is_nobodys_error(dbperf: CommandLine, db: str) -> None:
    dbperf.write("valid.sql", VALID)
    done = dbperf("analyze", "--db", db, "--sql", "valid.sql", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert len(report["statements"]) == len(VALID.strip().splitlines())
    assert report["coverage"]["parsed"] < report["coverage"]["seen"]
    assert not any(each["syntax_error"] for each in report["coverage"]["skipped"])


def test_a_table_or_column_that_is_not_there_is_no_syntax_error(dbperf: CommandLine, db: str) -> None:
    dbperf.write("q.sql", f"SELECT * FROM nowhere;\nSELECT nothing FROM item;\n{GOOD}")
    done = dbperf("analyze", "--db", db, "--sql", "q.sql", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    reasons = [each["reason"] for each in json.loads(done.stdout)["coverage"]["skipped"]]
    assert reasons == [
        'not explained: no such table: relation "nowhere" does not exist',
        'not explained: no such column: column "nothing" does not exist',
    ]


def test_no_permission_on_a_table(dbperf: CommandLine, database: str, own_db: str) -> None:
    role = f"clerk_{database}"
    with psycopg.connect(own_db, autocommit=True) as connection:
        connection.execute(
            f"CREATE ROLE {role} LOGIN; GRANT SELECT ON item TO {role}; CREATE SCHEMA hidden;"
            "CREATE TABLE hidden.t (id int)"
        )
        dbperf.write("q.sql", f"SELECT * FROM tiny WHERE name = 'x';\nSELECT * FROM hidden.t;\n{GOOD}")
        address = psycopg.conninfo.make_conninfo(own_db, user=role)
        done = dbperf("analyze", "--db", address, "--sql", "q.sql", "--format", "json")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert {each["sql"]: each["reason"] for each in report["coverage"]["skipped"]} == {
        "SELECT * FROM tiny WHERE name = 'x'": "not explained: no permission to read public.tiny",
        "SELECT * FROM hidden.t": "not explained: no permission to read hidden.t",
    }
    assert [each["id"] for each in report["recommendations"]] == ["DBP101:public.item(owner)"]


def test_two_statements_where_one_is_due(db: str) -> None:
    two = "SELECT 1; DROP TABLE item"
    facts = analyze_statement(two, "postgresql")
    assert (facts.parsed, facts.reason) == (False, "more than one statement")
    with connect(db) as connection:
        for parameters in ([], None):
            with pytest.raises(StatementError, match="two statements where one is due"):
                explain(connection, two, parameters)
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (20_000,)
