"""`dbperf doctor`: output, exit codes, addresses that do not answer."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg

from dbperf.embedded import Server

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

PASSWORD = "correct-horse-battery-staple"


def test_a_server_of_every_version(dbperf: CommandLine, any_server: Server) -> None:
    done = dbperf("doctor", any_server.dsn())
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "1 warning, 2 notes"  # the tests' servers run without autovacuum
    assert lines[1].endswith(f"PostgreSQL {any_server.server_version}")
    assert "warning  autovacuum switched off on this server" in lines
    assert "         ALTER SYSTEM SET track_io_timing = 'on';" in lines
    assert max(map(len, lines)) <= 120

    document = json.loads(dbperf("doctor", any_server.dsn(), "--format", "json").stdout)
    assert document["schema_version"] == 1
    assert document["worst"] == "warning"
    found = {each["name"]: each["status"] for each in document["checks"]}
    assert found["server-version"] == found["connection-pooler"] == "ok"
    assert not [each for each in document["checks"] if "could not be checked" in each["found"]]


def test_an_error_is_exit_code_1(dbperf: CommandLine, own_db: str) -> None:
    with psycopg.connect(own_db, autocommit=True) as connection:
        connection.execute("CREATE ROLE nobody_s LOGIN")
        try:
            done = dbperf("doctor", psycopg.conninfo.make_conninfo(own_db, user="nobody_s"))
            assert (done.returncode, done.stderr) == (1, "")
            assert "error    2 of 2 tables may not be read: public.item, public.tiny" in done.stdout
            assert "GRANT SELECT ON ALL TABLES IN SCHEMA public TO nobody_s;" in done.stdout
        finally:
            connection.execute("DROP ROLE nobody_s")


def test_who_does_not_answer(dbperf: CommandLine) -> None:
    line = dbperf.refused("doctor", f"postgresql://me:{PASSWORD}@127.0.0.1:1/shop")
    assert "Connection refused" in line
    assert "give a libpq string" in dbperf.refused("doctor", "shop")


def test_a_sqlite_file(dbperf: CommandLine) -> None:
    path = dbperf.folder / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            'CREATE TABLE "my ""people""" (id INTEGER PRIMARY KEY); INSERT INTO "my ""people""" VALUES (1);'
            'CREATE TABLE item (owner INT REFERENCES "my ""people"""); CREATE TABLE empty (id INT);'
            "CREATE INDEX item_owner ON item (owner); INSERT INTO item VALUES (1);"
            "CREATE VIRTUAL TABLE words USING fts5 (body); INSERT INTO words VALUES ('hello')"
        )
        done = dbperf("doctor", "sqlite:///app.db")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[:2] == ["1 warning, 2 notes", f"{path} · SQLite {sqlite3.sqlite_version}"]
        assert 'warning  2 tables never analyzed: item, my "people"' in lines
        checks = json.loads(dbperf("doctor", "sqlite:///app.db", "--format", "json").stdout)["checks"]
        for fix in (fix for check in checks for fix in check["fixes"]):
            connection.execute(fix)
        for left in ([path, *path.parent.glob("app.db-*")], [path]):
            done = dbperf("doctor", "sqlite:///app.db")
            assert done.stdout.startswith("1 note\n")  # whether foreign keys are enforced, no file can tell
            assert "the journal mode is wal" in done.stdout
            assert sorted(path.parent.iterdir()) == sorted(left)
            connection.close()  # which takes the log away


def test_what_is_no_sqlite_file(dbperf: CommandLine) -> None:
    dbperf.write("garbage.db", b"\x00garbage" * 999)
    for url, says in (
        ("sqlite:///missing.db", "missing.db: no such file"),
        ("sqlite:///garbage.db", "garbage.db: not a SQLite database, or an encrypted one"),
        ("sqlite://", "a SQLite database in memory ends with its process"),
    ):
        line = dbperf.refused("doctor", url)
        assert says in line
        assert "--db" not in line
    assert not (dbperf.folder / "missing.db").exists()
