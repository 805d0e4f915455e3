"""`doctor` on a real server: what it finds, and that the statements it gives do mend it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

import psycopg
import pytest

from dbperf.embedded import Server, start
from dbperf.errors import ConnectError
from dbperf.model.checkup import Check, Status
from dbperf.plans.connect import Connection, connect
from dbperf.plans.doctor import checkup, postgres
from dbperf.plans.doctor.postgres import CHECKS
from dbperf.plans.doctor.settings import read_setting

SICK = """
CREATE SCHEMA "Sales Dept";
CREATE TABLE "Sales Dept"."Order" AS SELECT i AS id FROM generate_series(1, 2000) i;
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2024 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO parts SELECT i, '2024-03-01' FROM generate_series(1, 100) i;
CREATE TABLE lazy (id int) WITH (autovacuum_enabled = off);
CREATE MATERIALIZED VIEW "lazy view" WITH (autovacuum_enabled = false) AS SELECT 1 AS one;
CREATE TABLE large AS SELECT i AS id, i % 7 AS "Kind", repeat('x', 100) AS text
    FROM generate_series(1, 20000) i;
ALTER TABLE large ALTER "Kind" SET STATISTICS 10;
CREATE TABLE empty (id int);
CREATE TABLE changed AS SELECT i AS id FROM generate_series(1, 2000) i;
"""
SETTINGS = """
ALTER DATABASE sick SET enable_seqscan = off;
ALTER ROLE postgres SET enable_hashjoin = off;
ALTER ROLE postgres IN DATABASE sick SET default_statistics_target = 10;
ALTER DATABASE sick SET compute_query_id = off;
"""


@pytest.fixture(scope="module")
def clinic() -> Iterator[Server]:
    """A server of its own: its settings are changed. Autovacuum is on and does not come by."""
    with start(settings={"autovacuum_naptime": "1d"}, databases=("sick", "well")) as running:
        yield running


def run(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
            connection.execute("SELECT pg_stat_force_next_flush()")  # else in a second, or when it ends


def checks(dsn: str) -> dict[str, Check]:
    return {each.name: each for each in checkup(dsn).checks}


def test_a_new_database_is_well(clinic: Server) -> None:
    found = checkup(clinic.dsn("well"))
    assert {each.name for each in found.checks if each.status is not Status.OK} == {
        "track-io-timing",
        "pg-stat-statements",
    }
    assert found.worst is Status.INFO
    assert found.server == f"PostgreSQL {clinic.server_version}"
    assert found.database.endswith("/well")
    assert len({each.name for each in found.checks}) == len(CHECKS)


def test_every_fix_mends_what_it_is_for(clinic: Server) -> None:
    dsn = clinic.dsn("sick")
    run(dsn, SICK, 'ANALYZE parts_2024, lazy, "lazy view", large, changed', SETTINGS)
    run(dsn, "UPDATE changed SET id = id + 1", "INSERT INTO large VALUES (20001, 1, 'x')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(dsn, 'CREATE UNIQUE INDEX CONCURRENTLY "Broken" ON large ("Kind")')
    run(dsn, "DELETE FROM large WHERE id > 7")

    found = checks(dsn)
    told = {name: each.found for name, each in found.items() if each.status is Status.WARNING}
    assert told == {
        "tables-analyzed": '2 tables never analyzed: "Sales Dept"."Order", public.parts',
        "fresh-statistics": "2 tables changed a lot since the last ANALYZE: public.large, public.changed;"
        " public.large most, 19,995 changes for 7 rows",
        "autovacuum": 'autovacuum switched off for 2 tables: public."lazy view", public.lazy',
        "valid-indexes": '1 invalid index: public."Broken"',
        "statistics-target": "default_statistics_target is 10, below PostgreSQL's own 100",
        "planner-methods": "plan types switched off: enable_hashjoin (user), enable_seqscan (database)",
        "compute-query-id": "compute_query_id is off",
    }
    assert found["column-targets"].status is Status.OK  # of the database's default, which is as low
    sick = [name for name, each in found.items() if each.status is not Status.OK]
    for name in sick:
        if name != "pg-stat-statements":  # which the embedded server does not have
            run(dsn, *found[name].fixes)

    after = checks(dsn)
    assert after["column-targets"].found.endswith(': public.large."Kind" (statistics target 10)')
    run(dsn, *after["column-targets"].fixes)
    assert [name for name, each in checks(dsn).items() if each.status is not Status.OK] == [
        "pg-stat-statements"
    ]


def test_server_wide_settings(clinic: Server) -> None:
    dsn = clinic.dsn("well")
    for order in ("SET autovacuum = off", "SET track_counts = off", "SET enable_sort = off"):
        run(dsn, f"ALTER SYSTEM {order}")
    try:
        run(dsn, "SELECT pg_reload_conf()")
        found = checks(dsn)
        assert found["autovacuum"].found == "autovacuum and track_counts switched off on this server"
        assert found["planner-methods"].found == "plan types switched off: enable_sort (configuration file)"
        run(dsn, *found["autovacuum"].fixes, *found["planner-methods"].fixes)
        after = checks(dsn)
        assert after["autovacuum"].status is after["planner-methods"].status is Status.OK
    finally:
        run(dsn, "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")


def test_a_setting_of_the_connection_is_no_one_else_s(clinic: Server) -> None:
    dsn = psycopg.conninfo.make_conninfo(clinic.dsn("well"), options="-c enable_sort=off")
    (fix,) = checks(dsn)["planner-methods"].fixes
    assert fix == "-- take enable_sort out of the options of this connection (--db, PGOPTIONS)"


def test_a_role_without_privileges(clinic: Server) -> None:
    admin = clinic.dsn("well")
    run(
        admin,
        'CREATE ROLE "the guest" LOGIN',
        'CREATE SCHEMA "Hidden"',
        'CREATE TABLE "Hidden".a AS SELECT 1 AS id; CREATE TABLE b (id int); CREATE TABLE c (id int)',
        'GRANT SELECT ON b TO "the guest"',
    )
    dsn = psycopg.conninfo.make_conninfo(admin, user="the guest")
    try:
        check = checks(dsn)["privileges"]
        assert (check.status, check.found) == (
            Status.WARNING,
            '2 of 3 tables may not be read: "Hidden".a, public.c',
        )
        run(admin, 'REVOKE SELECT ON b FROM "the guest"')
        assert checkup(dsn).worst is Status.ERROR  # no table at all
        run(admin, *check.fixes)
        assert checks(dsn)["privileges"].found == "this role may read all tables"

        run(admin, 'ALTER TABLE "Hidden".a ENABLE ROW LEVEL SECURITY; ANALYZE')
        guarded = checks(dsn)
        told = 'row policies hide the statistics of 1 table from this role: "Hidden".a'
        assert guarded["privileges"].found == told
        assert guarded["tables-analyzed"].status is Status.OK  # they are there, and ANALYZE would not help
        run(admin, *guarded["privileges"].fixes)
        assert checks(dsn)["privileges"].status is Status.OK
    finally:
        run(admin, 'DROP OWNED BY "the guest"; DROP ROLE "the guest"; DROP SCHEMA "Hidden" CASCADE')
        run(admin, "DROP TABLE b, c")


def test_a_check_that_fails_does_not_stop_the_others(clinic: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def writing(connection: Connection) -> Check:
        connection.execute("CREATE TABLE made (id int)")
        raise AssertionError

    def absent(connection: Connection) -> Check:
        connection.execute("SELECT nothing FROM nowhere")
        raise AssertionError

    def not_yet(connection: Connection) -> Check:
        read_setting(connection, "not_yet")
        raise AssertionError

    monkeypatch.setattr(postgres, "CHECKS", (writing, absent, not_yet, *CHECKS[:1]))
    first, second, older, third = checkup(clinic.dsn("well")).checks
    assert (first.name, first.status) == ("writing", Status.INFO)
    assert first.found.startswith("could not be checked: it writes: cannot execute CREATE TABLE")
    assert second.found.startswith("could not be checked: no such table")
    assert older.found.startswith("could not be checked: this server has no setting not_yet")
    assert third.status is Status.OK


def test_nothing_is_left_in_the_session(clinic: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Connection] = []

    def kept_open(dsn: str) -> Connection:
        opened.append(connect(dsn))
        return opened[0]

    monkeypatch.setattr(postgres, "connect", kept_open)
    monkeypatch.setattr(postgres, "closing", nullcontext)
    checkup(clinic.dsn("well"))
    with closing(opened[0]) as session:  # behind a pooler, another client gets it now
        left = (
            "SELECT name FROM pg_settings WHERE source = 'session' AND name NOT LIKE 'transaction%'"
            " UNION SELECT name FROM pg_prepared_statements"
        )
        assert session.execute(left).fetchall() == []


def test_a_database_that_refuses(clinic: Server) -> None:
    with pytest.raises(ConnectError, match='database "nope" does not exist'):
        checkup(clinic.dsn("nope"))


@contextmanager
def proxied(server: Server) -> Iterator[int]:
    """A port that leads to `server` and, as poolers do, tells its clients of another process."""

    def pump(source: socket.socket, sink: socket.socket, *, answers: bool) -> None:
        with source, sink:
            while data := source.recv(65536):
                at = data.find(b"K\x00\x00\x00\x0c") if answers else -1
                if at >= 0:
                    (pid,) = struct.unpack_from("!i", data, at + 5)
                    data = data[: at + 5] + struct.pack("!i", pid + 1) + data[at + 9 :]
                    answers = False
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(f"{server.host}/.s.PGSQL.{server.port}")
        thread = threading.Thread(target=pump, args=(client.dup(), upstream.dup()), kwargs={"answers": False})
        thread.start()
        pump(upstream, client, answers=True)
        thread.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_pooler_in_between(clinic: Server) -> None:
    with proxied(clinic) as port:
        dsn = f"host=127.0.0.1 port={port} user=postgres dbname=well sslmode=disable gssencmode=disable"
        check = checks(dsn)["connection-pooler"]
    assert check.status is Status.INFO
    assert "a connection pooler is in between" in check.found
    assert checks(clinic.dsn("well"))["connection-pooler"].status is Status.OK
