"""`dbperf explain`: a statement, a file or stdin, on servers of several versions, and SQLite."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbperf.embedded import Server

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

STAGING = ("--environment", "staging", "--verify")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan, parents first."""
    yield plan
    for child in plan["children"]:
        yield from nodes(child)


def plan_of(dbperf: CommandLine, dsn: str, *arguments: str) -> dict[str, Any]:
    """The one statement of the JSON."""
    done = dbperf("explain", "--db", dsn, "--format", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    (statement,) = document["statements"]
    assert isinstance(statement, dict)
    return statement


def test_a_statement(dbperf: CommandLine, db: str) -> None:
    done = dbperf("explain", "--db", db, "SELECT * FROM item WHERE owner = :owner ORDER BY at LIMIT 3")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "SELECT * FROM item WHERE owner = $1 ORDER BY at LIMIT 3"
    assert lines[1].startswith("planned with $1 = '")
    assert "from the table statistics, the costliest of " in lines[1]
    tree = [line for line in lines[4:] if line]
    assert [re.sub(r"^[► ]+\d+%\s+[\d,]+\s+| on .*", "", line) for line in tree if "%" in line[:9]] == [
        "Limit",
        "└─ Sort",
        "└─ Seq Scan",
    ]
    (marked,) = [line for line in tree if line.startswith("►")]
    assert "Seq Scan on item" in marked
    assert "executed" not in done.stdout
    assert "(estimate, not time) · 3 rows expected · ► takes the most cost, " in lines[-1]


def test_executed_where_that_may_be(dbperf: CommandLine, db: str) -> None:
    done = dbperf("explain", "--db", db, *STAGING, "SELECT * FROM item WHERE owner + 1 = 8")
    assert done.returncode == 0
    assert "removed 19,979 rows" in done.stdout
    assert " · executed in " in done.stdout
    assert " · 21 rows" in done.stdout
    reasons = {
        "SELECT id, random() FROM item": "random() is volatile",
        "SELECT * FROM item FOR UPDATE": "it writes or locks rows",
        "UPDATE item SET owner = %s WHERE id = %s": "it writes or locks rows",
        "SELECT * FROM item WHERE kind = lower($1)": "no parameter values to run it with",
    }
    dbperf.write("q.sql", ";\n".join(reasons))
    statements = json.loads(dbperf("explain", "--db", db, *STAGING, "--format", "json", "q.sql").stdout)[
        "statements"
    ]
    assert [each["untimed"] for each in statements] == list(reasons.values())
    assert {each["seconds"] for each in statements} == {None}
    shown = dbperf("explain", "--db", db, *STAGING, "q.sql").stdout
    assert re.findall("not executed: (.*)", shown) == list(reasons.values())
    line = dbperf.refused("explain", "--db", db, "--verify", "SELECT 1")
    assert line == "dbperf: --verify runs statements; point --db at a copy and say --environment staging"


def test_generic_where_no_values_are_known(dbperf: CommandLine, db: str) -> None:
    statement = plan_of(dbperf, db, "SELECT * FROM item WHERE kind = lower(?)")
    assert (statement["parameters"], statement["values"]) == ("generic", [])
    shown = dbperf("explain", "--db", db, "SELECT * FROM item WHERE kind = lower(?)")
    assert "generic plan: no values are known for its parameters" in shown.stdout


def test_a_file_of_statements(dbperf: CommandLine, db: str) -> None:
    dbperf.write("q.sql", "-- first\nSELECT 1;\nSELEC 2;\n\nVACUUM item;\nSELECT id FROM item;\n")
    done = dbperf("explain", "--db", db, "q.sql")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        'dbperf: q.sql:3: not explained: the server finds a syntax error: syntax error at or near "SELEC"',
        "dbperf: q.sql:5: not explained: not a query: nothing to plan",
    ]
    assert done.stdout.startswith("SELECT 1\n")
    assert "\n\nSELECT id FROM item\n" in done.stdout
    json_too = dbperf("explain", "--db", db, "--format", "json", "q.sql")
    assert [each["line"] for each in json.loads(json_too.stdout)["statements"]] == [2, 6]


def test_stdin(db: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-m", "dbperf", "explain", "--db", db, "-"],
        input=b"SELECT count(*) FROM item",
        capture_output=True,
        env=environment | {"PYTHONIOENCODING": "ascii"},
        check=True,
    )
    text = done.stdout.decode("ascii")  # a terminal that has no other characters
    assert "`- Seq Scan on item" in text
    assert "> " in text


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("queries/x.sql", "queries/x.sql: there is no such file, and it is no SQL statement"),
        ("x.sql", "x.sql: there is no such file, and it is no SQL statement"),
        ("", "SQL: no SQL statement in it"),
        ("-- nothing", "SQL: no SQL statement in it"),
        (".", ".: Is a directory"),
        ("-", "stdin: no SQL statement in it"),
        ("SELEC 1", 'not explained: the server finds a syntax error: syntax error at or near "SELEC"'),
        ("SELECT * FROM nowhere", 'not explained: no such table: relation "nowhere" does not exist'),
        ("CREATE TABLE t (id int)", "not explained: changes the schema: nothing to plan"),
        ("BEGIN", "not explained: transaction control: nothing to plan"),
        (
            "SELECT '" + "x" * 5000,
            "not explained: the server finds a syntax error: unterminated quoted string",
        ),
    ],
)
def test_what_cannot_be_explained(dbperf: CommandLine, db: str, argument: str, says: str) -> None:
    assert dbperf.refused("explain", "--db", db, "--", argument).startswith(f"dbperf: {says}")


@pytest.mark.parametrize("depth", [150, 400])  # the second is more than json.loads takes
def test_a_plan_without_end(dbperf: CommandLine, db: str, depth: int) -> None:
    nested = "SELECT * FROM (" * depth + "TABLE tiny LIMIT 9" + ") x WHERE id > 0 LIMIT 9" * depth
    line = dbperf.refused("explain", "--db", db, nested)
    assert line == "dbperf: not explained: its plan is more than 200 nodes deep"


SHAPES = [
    "SELECT count(*) FROM item WHERE id > (SELECT max(id) FROM tiny)",
    "WITH c AS MATERIALIZED (SELECT * FROM item) SELECT * FROM c a JOIN c b USING (id) WHERE a.owner = 3",
    "SELECT id, (SELECT count(*) FROM item i WHERE i.owner = t.id) FROM tiny t",
    "SELECT * FROM item WHERE owner NOT IN (SELECT id FROM tiny) ORDER BY at LIMIT 10",
    "SELECT kind, count(*) FROM item GROUP BY kind ORDER BY 2",
    "SELECT * FROM tiny t JOIN item i ON i.id = t.id AND i.owner > 2 LEFT JOIN tiny u ON u.name = t.name",
    "SELECT owner FROM item WHERE id < 9 UNION SELECT id FROM tiny INTERSECT SELECT 4",
    "SELECT * FROM item a WHERE EXISTS (SELECT FROM item b WHERE b.owner = a.id) LIMIT 5",
]
PARALLEL = """
ALTER DATABASE {} SET parallel_setup_cost = 0;
ALTER DATABASE {} SET parallel_tuple_cost = 0;
ALTER DATABASE {} SET min_parallel_table_scan_size = 0;
"""


@pytest.fixture(scope="module")
def shapes(any_server: Server) -> Iterator[str]:
    """The address of a database that likes parallel plans."""
    with psycopg.connect(any_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shapes")
        connection.execute(PARALLEL.replace("{}", "shapes").encode())
        with psycopg.connect(any_server.dsn("shapes"), autocommit=True) as tables:
            tables.execute(
                "CREATE TABLE item AS SELECT i AS id, i % 97 AS owner, 'kind ' || i % 5 AS kind, now() AS at"
                " FROM generate_series(1, 5000) i; CREATE INDEX ON item (id);"
                "CREATE TABLE tiny AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 20) i"
            )
            tables.execute("ANALYZE")
        yield any_server.dsn("shapes")
        connection.execute("DROP DATABASE shapes WITH (FORCE)")


def test_shares_of_real_plans_add_up(dbperf: CommandLine, shapes: str) -> None:
    dbperf.write("shapes.sql", ";\n".join(SHAPES))
    titles = set()
    for options in ((), STAGING):
        done = dbperf("explain", "--db", shapes, "--format", "json", *options, "shapes.sql")
        assert (done.returncode, done.stderr) == (0, "")
        statements = json.loads(done.stdout)["statements"]
        assert len(statements) == len(SHAPES)
        for statement in statements:
            found = list(nodes(statement["plan"]))
            parts = [each["share"] for each in found]
            assert sum(parts) == pytest.approx(1), statement["sql"]
            assert min(parts) >= 0
            assert statement["untimed"] == ""
            assert (statement["seconds"] is not None) == bool(options)
            titles |= {each["title"] for each in found}
            titles |= {each["subplan"].split()[0] for each in found if each["subplan"]}
    assert {"Gather", "InitPlan", "CTE", "SubPlan", "Parallel Seq Scan", "Limit"} <= titles


def test_a_sqlite_file(dbperf: CommandLine) -> None:
    with closing(sqlite3.connect(dbperf.folder / "app.db")) as connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, owner INT, at TEXT)")
        connection.execute("CREATE INDEX item_owner ON item (owner)")
        connection.commit()
    done = dbperf("explain", "--db", "sqlite:///app.db", "SELECT * FROM item WHERE owner = ? ORDER BY at")
    assert (done.returncode, done.stderr) == (0, "")
    assert "├─ Search using item_owner on item" in done.stdout
    assert "temp b-tree for order by" in done.stdout.lower()
    assert "cost" not in done.stdout
    line = dbperf.refused("explain", "--db", "sqlite:///app.db", "SELEC 1")
    assert line.startswith("dbperf: not explained: SQLite finds a syntax error")
    done = dbperf("explain", "--db", "sqlite:///app.db", *STAGING, "SELECT * FROM item")
    assert "not executed: this database does not tell what the nodes of a plan take" in done.stdout
