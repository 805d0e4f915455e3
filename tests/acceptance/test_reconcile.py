"""`doctor --workload`: whether the server counted what was recorded, on a server that counts."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.util import greenlet_spawn

from dbperf import create_async_engine, create_engine, perf
from dbperf.embedded import Server, start
from tests.acceptance.test_pg_stat_statements import DEBIAN_15, INSTALLED, SETTINGS

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


@pytest.fixture(scope="module", params=[DEBIAN_15] if INSTALLED else [])
def counting(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that counts statements."""
    with start(install=request.param, settings=SETTINGS, databases=("shop",)) as running:
        with psycopg.connect(running.dsn("shop"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        yield running


@pytest.fixture
def shop(counting: Server) -> Iterator[psycopg.Connection[Any]]:
    """Connected to a database of whose statements none is counted yet, with an empty table."""
    with psycopg.connect(counting.dsn("shop"), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS item; CREATE TABLE item (id serial PRIMARY KEY, name text)")
        connection.execute("SELECT pg_stat_statements_reset()")
        yield connection


def work(engine: sa.Engine) -> None:
    """31 calls of 11 statements that a driver or the server turns into something else, and 2 that fail."""
    with Session(engine) as session:
        session.add_all([Item(name=str(each)) for each in range(2500)])  # 1 execution, in 3 batches
        session.execute(sa.insert(Item), [{"id": 9000 + each, "name": "x"} for each in range(7)])
        session.commit()
        for each in range(10):
            session.get(Item, each + 1)
            session.scalars(sa.select(Item).where(Item.id.in_(range(each + 1)))).all()
        for text in (
            "SELECT 1, -1, 'x', NULL, interval '1 day', date '2020-01-01', TRUE, 1.5e3, E'a', $$x$$, b'1'",
            "SELECT * FROM item WHERE name LIKE 'x%' AND name IS NOT NULL LIMIT 3 OFFSET 2",
            "SELECT array[1, 2], name::varchar(10) FROM item /* of all */ WHERE id = ANY(array[1, 2, 3])",
            "SET LOCAL work_mem = '5MB'",
        ):
            session.execute(sa.text(text))
        for error in ("SELECT 1 / 0", "SELECT nothing"):
            with suppress(sa.exc.DBAPIError), session.begin_nested():  # which is two commands
                session.execute(sa.text(error))
        names = sa.select(Item.name).where(Item.id < 100).execution_options(yield_per=10)
        assert len(session.scalars(names).all()) == 99
        session.commit()


def recorded(server: Server, path: object, run: Callable[[sa.Engine], None] = work) -> str:
    """The path of what a program did on the database."""
    engine = create_engine(server.url("psycopg", "shop"))
    run(engine)
    perf(engine).save(str(path))
    engine.dispose()
    return str(path)


def ask(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT name FROM item WHERE id = :number"), {"number": 1})


def do_in_vain(engine: sa.Engine) -> None:
    with engine.connect() as connection, suppress(sa.exc.DBAPIError):
        connection.execute(sa.text(f"SELECT '{70_000 * 'x'}'"))
        connection.execute(sa.text("SELECT 1 / 0"))


def check(dbperf: CommandLine, dsn: str, path: str, *options: str) -> dict[str, Any]:
    done = dbperf("doctor", dsn, "--workload", path, *options, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "calls-reconcile"]
    return dict(found)


def test_every_call_of_psycopg_is_counted(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite")
    found = check(dbperf, counting.dsn("shop"), path)
    assert (found["status"], found["why"], found["fixes"]) == ("ok", "", [])
    assert found["found"] == (
        "31 of 31 calls of 11 statements that were recorded are in the server's counters;"
        " not compared: 2 calls that failed, which the server does not count"
    )
    done = dbperf("doctor", counting.dsn("shop"), "--workload", path)
    assert "31 of 31 calls of 11 statements" in " ".join(done.stdout.split())


def test_every_call_of_asyncpg_is_counted(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = dbperf.folder / "app.sqlite"

    async def main() -> None:
        engine = create_async_engine(counting.url("asyncpg", "shop"))
        await greenlet_spawn(work, engine.sync_engine)
        perf(engine).save(path)
        await engine.dispose()

    asyncio.run(main())
    found = check(dbperf, counting.dsn("shop"), str(path))
    assert found["status"] == "ok"
    assert found["found"].startswith("31 of 31 calls of 11 statements")


def test_what_others_do_is_told_apart(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite", ask)
    for number in (3, 4, 5):
        shop.execute("SELECT name FROM item WHERE id = %s", (number,))
    shop.execute("SELECT count(*) FROM item")
    shop.execute("SELECT relname FROM pg_class")
    found = check(dbperf, counting.dsn("shop"), path)
    assert found["status"] == "ok"
    assert found["found"].startswith(
        "1 of 1 call of 1 statement that were recorded are in the server's counters; besides, the server"
        " counted 3 more of these and 1 of 1 other query since 20"
    )


def test_commands_that_the_server_does_not_count(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    shop.execute("ALTER DATABASE shop SET pg_stat_statements.track_utility = off")
    try:
        path = recorded(counting, dbperf.folder / "app.sqlite")
        found = check(dbperf, counting.dsn("shop"), path)
    finally:
        shop.execute("ALTER DATABASE shop RESET pg_stat_statements.track_utility")
    assert "5 calls of commands (pg_stat_statements.track_utility is off)" in found["found"]
    # Nor a server-side cursor, which is a command to it.
    assert (
        "most are missing of SELECT item.name FROM item WHERE item.id < $1::INTEGER: 1 of 1" in found["found"]
    )


def test_counters_that_were_reset_since(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite", ask)
    shop.execute("SELECT pg_stat_statements_reset()")
    found = check(dbperf, counting.dsn("shop"), path)
    assert found["found"] == (
        "0 of 1 call of 1 statement that were recorded are in the server's counters;"
        " most are missing of SELECT name FROM item WHERE id = $1: 1 of 1"
    )
    assert found["status"] == "warning"
    assert found["why"].startswith("no reason is known here")  # it may have run in this very minute

    with sqlite3.connect(path) as store:
        store.execute("UPDATE minute SET starts = starts - 3600")
    store.close()
    found = check(dbperf, counting.dsn("shop"), path)
    assert found["why"].startswith("the server counts since 20")
    assert found["why"].endswith(", and the recording began before that")
    assert found["fixes"] == ["-- compare what ran since then: --since, or a new recording"]
    since = check(dbperf, counting.dsn("shop"), path, "--since", "30m")
    assert (since["status"], since["found"]) == ("info", "calls are not compared: the workload is empty")


def test_statements_that_were_forgotten(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite", ask)
    for number in range(240):  # each twice: the rarest goes first
        shop.execute(f"SELECT 1{', 1' * (number // 2)}".encode())
    found = check(dbperf, counting.dsn("shop"), path)
    assert found["status"] == "warning"
    assert "the server was full and forgot its rarest statements" in found["why"]
    assert found["fixes"] == ["-- raise pg_stat_statements.max, and restart the server"]


def test_statements_of_other_roles_need_a_grant(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite", ask)
    shop.execute("CREATE ROLE guest LOGIN; GRANT SELECT ON item TO guest")
    dsn = psycopg.conninfo.make_conninfo(counting.dsn("shop"), user="guest")
    try:
        found = check(dbperf, dsn, path)
        assert found["why"].startswith("this role may not see the statements of other roles: ")
        (grant,) = found["fixes"]
        shop.execute(grant.encode())
        assert check(dbperf, dsn, path)["status"] == "ok"
    finally:
        shop.execute("DROP OWNED BY guest; DROP ROLE guest")


def test_what_cannot_be_compared(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any], own_db: str
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite", ask)
    found = check(dbperf, counting.dsn("postgres"), path)
    assert found["status"] == "info"
    assert found["found"].startswith("calls are not compared: the workload is of other databases (")
    assert found["found"].endswith("/shop)")

    name = psycopg.conninfo.conninfo_to_dict(own_db)["dbname"]
    with sqlite3.connect(path) as store:
        store.execute("UPDATE statement SET database = 'elsewhere/5432/' || ?", (name,))
    store.close()
    found = check(dbperf, own_db, path)
    assert found["status"] == "info"
    assert "the extension pg_stat_statements is not installed in this database" in found["found"]
    assert found["fixes"]

    recorded(counting, path, do_in_vain)
    found = check(dbperf, counting.dsn("shop"), path)
    assert (found["status"], found["found"]) == (
        "info",
        "no call is compared; not compared: 1 call that failed, which the server does not count,"
        " 1 call whose text is too long to be told by",
    )


def test_a_database_recorded_by_another_address(
    dbperf: CommandLine, counting: Server, shop: psycopg.Connection[Any]
) -> None:
    path = recorded(counting, dbperf.folder / "app.sqlite", ask)
    with sqlite3.connect(path) as store:
        store.execute("UPDATE statement SET database = 'replica/5432/shop'")
    store.close()
    assert check(dbperf, counting.dsn("shop"), path)["status"] == "ok"
    shop.execute("SELECT pg_stat_statements_reset()")
    why = check(dbperf, counting.dsn("shop"), path)["why"]
    assert "some may have run on another server, such as that of replica/5432/shop" in why


def test_what_is_refused(dbperf: CommandLine, db: str) -> None:
    assert "--since is for --workload" in dbperf.refused("doctor", db, "--since", "7d")
    assert "no such file" in dbperf.refused("doctor", db, "--workload", "missing.sqlite").lower()
    with sqlite3.connect(dbperf.folder / "app.db") as file:
        file.execute("CREATE TABLE item (id)")
    file.close()
    engine = create_engine("sqlite://")
    perf(engine).save(dbperf.folder / "app.sqlite")
    engine.dispose()
    line = dbperf.refused("doctor", "sqlite:///app.db", "--workload", "app.sqlite")
    assert "--workload: SQLite counts no calls" in line
