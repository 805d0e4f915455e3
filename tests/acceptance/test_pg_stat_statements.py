"""`analyze --from pg_stat_statements`: the server's own counters, on a server that has the extension."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from dbperf.embedded import Server, start
from dbperf.errors import InputError
from dbperf.model.workload import Workload
from dbperf.workload.sources.pg_stat_statements import Connection, read_pg_stat_statements

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

# The PostgreSQL that comes with dbperf has no extensions: Debian's has, installed here or else in CI.
DEBIAN_15 = Path("/usr/lib/postgresql/15")
INSTALLED = (DEBIAN_15 / "bin/postgres").exists() or os.environ.get("DBPERF_TEST_POSTGRES15") == "required"
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "100",
    "pg_stat_statements.track": "all",
    "autovacuum": "off",
}
SECRET = "hunter2"
SCHEMA = f"""
CREATE EXTENSION pg_stat_statements;
CREATE TABLE item (id int PRIMARY KEY, owner int NOT NULL, name text);
INSERT INTO item SELECT i, i % 997, 'name ' || i FROM generate_series(1, 20000) i;
CREATE FUNCTION owners() RETURNS bigint LANGUAGE plpgsql AS
    $$BEGIN RETURN (SELECT count(DISTINCT owner) FROM item WHERE name <> '{SECRET}'); END$$;
ANALYZE item;
"""


@pytest.fixture(scope="module", params=[DEBIAN_15] if INSTALLED else [])
def counting(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that counts statements."""
    with start(install=request.param, settings=SETTINGS, databases=("shop",)) as running:
        with psycopg.connect(running.dsn("shop"), autocommit=True) as connection:
            connection.execute(SCHEMA)
        yield running


@pytest.fixture
def shop(counting: Server) -> Iterator[Connection]:
    """Connected to a database of whose statements none is counted yet."""
    with closing(psycopg.connect(counting.dsn("shop"), autocommit=True)) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        yield connection


def note(workload: Workload, words: str) -> str:
    """The one note that has these words in it; "" where there is none."""
    found = [each for each in workload.notes if words in each]
    assert len(found) <= 1
    return found[0] if found else ""


def test_what_ran_is_advised_on(dbperf: CommandLine, counting: Server, shop: Connection) -> None:
    for owner in range(5):
        shop.execute("SELECT * FROM item WHERE owner = %s", (owner,), prepare=True).fetchall()
    options = ("--db", counting.dsn("shop"), "--from", "pg_stat_statements", "--environment", "staging")
    done = dbperf("analyze", *options, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    (statement,) = [each for each in report["statements"] if each["recommendations"]]
    assert statement["sql"] == "SELECT * FROM item WHERE owner = $1"
    assert (statement["calls"], statement["rows"]) == (5, 104)
    assert 0 < statement["execute_seconds"] < 5
    assert statement["p95_seconds"] is None
    assert [each["id"] for each in report["recommendations"]] == ["DBP101:public.item(owner)"]
    about = report["coverage"]["notes"][0]
    assert about.startswith("from pg_stat_statements, counted since 20")
    assert "times are execution alone" in about


def test_secrets_in_commands_and_comments_stay_where_they_are(
    dbperf: CommandLine, counting: Server, shop: Connection
) -> None:
    for sql in (
        f"CREATE ROLE secretive PASSWORD '{SECRET}'",
        f"ALTER ROLE secretive PASSWORD '{SECRET}'",
        f"SELECT 1; ALTER USER secretive PASSWORD '{SECRET}'; SELECT 2",
        f"SET application_name = '{SECRET}'",
        f"COPY (SELECT '{SECRET}') TO '/dev/null'",
        f"DO $$BEGIN PERFORM '{SECRET}'; END$$",
        f"EXPLAIN SELECT '{SECRET}'",
        f"/* {SECRET} */ SELECT * FROM item WHERE name = '{SECRET}' -- {SECRET}",
        f"COMMENT ON TABLE item IS '{SECRET}'",
        "DROP ROLE secretive",
    ):
        shop.execute(sql.encode())
    shop.execute(f"PREPARE stolen AS SELECT * FROM item WHERE name = '{SECRET}'".encode())
    shop.execute("EXECUTE stolen")
    with shop.transaction(force_rollback=True):
        shop.execute("SET LOCAL standard_conforming_strings = off; SET LOCAL escape_string_warning = off")
        shop.execute(f"SELECT 'x\\' {SECRET} ' AS x, 'y\\' ' AS y INTO stolen".encode())
    counted = shop.execute("SELECT string_agg(query, ' ') FROM pg_stat_statements").fetchone()
    assert counted
    assert counted[0].count(SECRET) > 5, "the server itself keeps them: this test must see them to judge"

    workload = read_pg_stat_statements(shop)
    assert SECRET not in repr(workload)
    assert "SELECT * FROM item WHERE name = $1" in {each.sql for each in workload.statements}
    assert "their text may hold secrets" in note(workload, "commands")
    options = ("--db", counting.dsn("shop"), "--from", "pg_stat_statements", "--format", "json")
    done = dbperf("analyze", *options)
    assert done.returncode == 0
    assert SECRET not in done.stdout + done.stderr


def test_nested_statements_are_not_counted_twice(shop: Connection) -> None:
    shop.execute("SELECT owners()")
    workload = read_pg_stat_statements(shop)
    assert [each.sql for each in workload.statements if "owner" in each.sql] == ["SELECT owners()"]
    assert note(workload, "ran inside functions").startswith("left out: 1 statement (1 call, ")


def test_the_system_s_catalog_is_left_out(dbperf: CommandLine, counting: Server, shop: Connection) -> None:
    options = ("--db", counting.dsn("shop"), "--from", "pg_stat_statements")
    assert dbperf("analyze", *options).returncode == 0  # which reads all of the catalog
    shop.execute("SELECT count(*) FROM information_schema.tables")
    shop.execute("SELECT relname FROM pg_class JOIN item ON owner = reltuples")
    workload = read_pg_stat_statements(shop)
    reading = [each.sql for each in workload.statements if " FROM " in each.sql]
    assert reading == ["SELECT relname FROM pg_class JOIN item ON owner = reltuples"]
    assert "as dbperf's own do" in note(workload, "system catalog")


def test_all_users_are_one(counting: Server, shop: Connection) -> None:
    shop.execute("CREATE ROLE clerk LOGIN; GRANT SELECT ON item TO clerk")
    try:
        for user in ("postgres", "clerk"):
            dsn = psycopg.conninfo.make_conninfo(counting.dsn("shop"), user=user)
            with psycopg.connect(dsn) as connection:
                connection.execute("SELECT /* of all */ count(*) FROM item WHERE owner <> 1")
                connection.execute("SELECT count(*) FROM item WHERE owner <> 2")
        found = {each.sql: each.calls for each in read_pg_stat_statements(shop).statements}
        assert found["SELECT count(*) FROM item WHERE owner <> $1"] == 4
    finally:
        shop.execute("DROP OWNED BY clerk; DROP ROLE clerk")


def test_texts_of_other_roles_need_a_grant(counting: Server, shop: Connection) -> None:
    shop.execute('CREATE ROLE "the guest" LOGIN')
    shop.execute("SELECT name FROM item WHERE id = 7")
    try:
        dsn = psycopg.conninfo.make_conninfo(counting.dsn("shop"), user="the guest")
        with closing(psycopg.connect(dsn, autocommit=True)) as guest:
            before = read_pg_stat_statements(guest)
            assert not [each for each in before.statements if " FROM " in each.sql]
            grant = note(before, "of other roles").partition("may not see: ")[2]
            assert grant == 'GRANT pg_read_all_stats TO "the guest";'
            shop.execute(grant.encode())
            after = read_pg_stat_statements(guest)
            assert "SELECT name FROM item WHERE id = $1" in {each.sql for each in after.statements}
            assert not note(after, "of other roles")
    finally:
        shop.execute('DROP ROLE "the guest"')


def test_forgotten_statements_are_told(shop: Connection) -> None:
    for number in range(120):
        shop.execute(f"SELECT 1{', 1' * number}".encode())
    workload = read_pg_stat_statements(shop, top=1)
    assert "(pg_stat_statements.max = 100)" in note(workload, "forgot its rarest statements")
    shop.execute("SELECT pg_stat_statements_reset()")
    shop.execute("SELECT 1")
    assert not note(read_pg_stat_statements(shop), "forgot")


def test_text_that_cannot_be_redacted_is_dropped(shop: Connection) -> None:
    shop.execute(f"SELECT 1 /* {'long ' * 15_000} */".encode())
    workload = read_pg_stat_statements(shop)
    assert not [each for each in workload.statements if "<" in each.sql]
    assert note(workload, "cannot be freed of its literals")


TIMES = "min max mean stddev"
BLOCKS = [
    f"{kind}_blks_{what}" for kind in ("shared", "local") for what in ("hit", "read", "dirtied", "written")
]
COMMON = [*BLOCKS, "temp_blks_read", "temp_blks_written"]
PLANNING = ["plans", *(f"{each}_plan_time" for each in ("total", *TIMES.split()))]
EXECUTION = [f"{each}_exec_time" for each in TIMES.split()]
WAL = ["wal_records", "wal_fpi", "wal_bytes"]
JIT = [
    f"jit_{each}_{what}" for each in ("inlining", "optimization", "emission") for what in ("count", "time")
]
IO = ["blk_read_time", "blk_write_time"]
SPLIT_IO = [f"{kind}_{each}" for kind in ("shared", "local", "temp") for each in IO]
NEWEST = [*SPLIT_IO, *WAL, *JIT, "jit_deform_count", "jit_deform_time", "stats_since", "minmax_stats_since"]
# What else the view has, by the version of the extension: those of PostgreSQL 12 to 18.
VIEWS = {
    "1.7": [*(f"{each}_time" for each in TIMES.split()), *COMMON, *IO],
    "1.8": [*PLANNING, *EXECUTION, *COMMON, *IO, *WAL],
    "1.9": ["toplevel", *PLANNING, *EXECUTION, *COMMON, *IO, *WAL],
    "1.10": ["toplevel", *PLANNING, *EXECUTION, *COMMON, *IO, "temp_blk_read_time", *WAL, *JIT],
    "1.11": ["toplevel", *PLANNING, *EXECUTION, *COMMON, *NEWEST],
    "1.12": [
        "toplevel",
        *PLANNING,
        *EXECUTION,
        *COMMON,
        *NEWEST,
        "wal_buffers_full",
        "parallel_workers_launched",
    ],
}
ROWS = """
(1, 10, 'SELECT * FROM item WHERE id = $1', 4, 2000.0, 8, true),
(2, 10, 'SELECT * FROM item WHERE id = $1', 1, 1000.0, 1, true),
(1, 11, 'SELECT nested', 1, 9000.0, 1, false),
(1, 12, 'SELECT * FROM item WHERE id IN ($1 /*, ... */)', 1, 500.0, 1, true)
"""


@pytest.mark.parametrize("version", VIEWS)
def test_every_version_of_the_view(shop: Connection, version: str) -> None:
    others = VIEWS[version]
    time = "total_exec_time" if "plans" in others else "total_time"
    zeros = ", ".join(f"0 AS {each}" for each in others if each != "toplevel")
    toplevel = ", toplevel" if "toplevel" in others else ""
    with shop.transaction(force_rollback=True):
        shop.execute(
            "CREATE SCHEMA wrapped; CREATE VIEW wrapped.pg_stat_statements AS SELECT userid,"
            " (SELECT oid FROM pg_database WHERE datname = 'shop') AS dbid,"
            f" queryid, query, calls, {time}, rows{toplevel}, {zeros} FROM (VALUES {ROWS})"
            f" v (userid, queryid, query, calls, {time}, rows, toplevel)".encode()
        )
        workload = read_pg_stat_statements(shop, schema="wrapped")
        longest = read_pg_stat_statements(shop, schema="wrapped", top=len(workload.statements) - 1)
    told = {each.sql: (each.calls, each.rows, each.execute_seconds) for each in workload.statements}
    nested = {} if toplevel else {"SELECT nested": (1, 1, 9.0)}
    assert told == nested | {
        "SELECT * FROM item WHERE id = $1": (5, 9, 3.0),
        "SELECT * FROM item WHERE id IN ($1 )": (1, 1, 0.5),
    }
    assert bool(note(workload, "ran inside functions")) == bool(toplevel)
    assert longest.statements == workload.statements[:-1]
    assert [each.execute_seconds for each in longest.statements] == [
        *(took for _, _, took in nested.values()),
        3.0,
    ]
    assert note(longest, "that took longest").startswith("left out: 1 statement (1 call, 0.500 s)")


LOAD = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', then restart the server"


def test_an_extension_that_is_not_on_the_server(dbperf: CommandLine, db: str) -> None:
    line = dbperf.refused("analyze", "--db", db, "--from", "pg_stat_statements")
    assert "is not installed in this database: install PostgreSQL's contrib modules" in line
    assert line.endswith(f", then {LOAD}, then CREATE EXTENSION pg_stat_statements")


@pytest.mark.parametrize("any_server", ["15"] if INSTALLED else [], indirect=True)
def test_an_extension_that_is_not_loaded(dbperf: CommandLine, any_server: Server) -> None:
    options = ("analyze", "--db", any_server.dsn(), "--from", "pg_stat_statements")
    line = dbperf.refused(*options)
    assert f"not installed in this database: {LOAD}, then CREATE EXTENSION pg_stat_statements" in line
    with psycopg.connect(any_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        try:
            assert f"installed but not loaded by the server: {LOAD}" in dbperf.refused(*options)
        finally:
            connection.execute("DROP EXTENSION pg_stat_statements")


def test_an_extension_in_a_schema_of_its_own(counting: Server, shop: Connection) -> None:
    shop.execute('CREATE SCHEMA "Stats Dept"; ALTER EXTENSION pg_stat_statements SET SCHEMA "Stats Dept"')
    shop.execute("CREATE ROLE outsider LOGIN")
    shop.execute("SELECT id FROM item WHERE name = 'x'")
    dsn = psycopg.conninfo.make_conninfo(counting.dsn("shop"), user="outsider")
    try:
        found = {each.sql for each in read_pg_stat_statements(shop).statements}
        assert "SELECT id FROM item WHERE name = $1" in found
        with closing(psycopg.connect(dsn, autocommit=True)) as outsider:
            with pytest.raises(InputError) as refused:
                read_pg_stat_statements(outsider)
            grant = str(refused.value).rpartition(": ")[2]
            assert grant == 'GRANT USAGE ON SCHEMA "Stats Dept" TO outsider'
            shop.execute(grant.encode())
            assert read_pg_stat_statements(outsider)
    finally:
        shop.execute("ALTER EXTENSION pg_stat_statements SET SCHEMA public")
        shop.execute('DROP SCHEMA "Stats Dept" CASCADE; DROP ROLE outsider')


def test_a_database_of_which_nothing_was_counted(dbperf: CommandLine, counting: Server) -> None:
    with psycopg.connect(counting.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE quiet")
        connection.execute("ALTER DATABASE quiet SET pg_stat_statements.track = none")
    with psycopg.connect(counting.dsn("quiet"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        with pytest.raises(InputError, match="has counted no statement of database quiet yet"):
            read_pg_stat_statements(connection)
    with psycopg.connect(counting.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE quiet")


def test_one_source_is_due(dbperf: CommandLine, db: str) -> None:
    dbperf.write("q.sql", "SELECT 1")
    for sources in ((), ("--sql", "q.sql", "--from", "pg_stat_statements"), ("--from", "elsewhere")):
        assert "pg_stat_statements" in dbperf.refused("analyze", "--db", db, *sources)
