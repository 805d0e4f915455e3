"""`dbperf doctor`: output, exit codes, addresses that do not answer."""

from __future__ import annotations

import json
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
