"""A database that is not there, does not let us in, or is none."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
import sqlalchemy
from sqlalchemy import exc, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import dbperf as package
from dbperf.embedded import Server

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

PASSWORD = "correct-horse-battery"
WRONG = f"{PASSWORD}-staple"  # the harness looks for the right one in what is printed


@pytest.fixture(autouse=True)
def _query(dbperf: CommandLine) -> None:
    dbperf.write("q.sql", "SELECT 1;\n")


def test_unreachable(dbperf: CommandLine) -> None:
    for address in (
        f"host=127.0.0.1 port=1 user=me dbname=shop password={WRONG}",
        f"postgresql://me:{WRONG}@127.0.0.1:1/shop",
        f"postgresql+asyncpg://me:{WRONG}@127.0.0.1:1/shop?prepared_statement_cache_size=0",
    ):
        assert "Connection refused" in dbperf.refused("analyze", "--db", address, "--sql", "q.sql")
    address = f"postgresql://me:{WRONG}@/shop?host=/nowhere"
    assert "No such file or directory" in dbperf.refused("analyze", "--db", address, "--sql", "q.sql")


def test_wrong_password(dbperf: CommandLine, guarded: Server) -> None:
    url = make_url(guarded.url()).set(password=WRONG)
    for address in (
        url.render_as_string(hide_password=False),
        url.set(drivername="postgresql").render_as_string(hide_password=False),
        f"host={guarded.host} port={guarded.port} user=postgres password={WRONG}",
    ):
        line = dbperf.refused("analyze", "--db", address, "--sql", "q.sql")
        assert "password authentication failed" in line


def test_right_password_is_not_shown_either(dbperf: CommandLine, guarded: Server) -> None:
    for form, says in (("terminal", "postgres"), ("json", f"127.0.0.1/{guarded.port}/postgres")):
        done = dbperf("analyze", "--db", guarded.url(), "--sql", "q.sql", "--format", form)
        assert done.returncode == 0
        assert says in done.stdout


def test_missing_database(dbperf: CommandLine, guarded: Server) -> None:
    line = dbperf.refused("analyze", "--db", guarded.url(database="nope"), "--sql", "q.sql")
    assert 'database "nope" does not exist' in line


async def _connect(engine: AsyncEngine) -> None:
    try:
        async with engine.connect():
            pass
    finally:
        await engine.dispose()


def test_an_engine_with_a_wrong_password_fails_as_without_dbperf(
    guarded: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = make_url(guarded.url()).set(password=WRONG)
    with pytest.raises(exc.OperationalError) as plain:
        sqlalchemy.create_engine(url).connect()
    with pytest.raises(exc.OperationalError) as measured:
        package.create_engine(url).connect()
    assert str(measured.value) == str(plain.value)
    assert "password authentication failed" in str(plain.value)
    assert type(measured.value.orig) is type(plain.value.orig)

    url = url.set(drivername="postgresql+asyncpg")
    with pytest.raises(Exception, match="password authentication failed") as plain_async:
        asyncio.run(_connect(create_async_engine(url)))
    with pytest.raises(type(plain_async.value)) as measured_async:
        asyncio.run(_connect(package.create_async_engine(url)))
    assert str(measured_async.value) == str(plain_async.value)

    assert WRONG not in caplog.text + str(measured.value) + str(measured_async.value)
    assert not [record for record in caplog.records if record.name.startswith("dbperf")]


def test_a_workload_knows_no_user_and_no_password(guarded: Server) -> None:
    engine = package.create_engine(guarded.url())
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    workload = package.perf(engine).workload()
    engine.dispose()
    assert {each.database for each in workload.statements} == {f"127.0.0.1/{guarded.port}/postgres"}
    assert PASSWORD not in repr(workload)


@pytest.mark.parametrize(
    "address",
    ["", "shop", "not a url", "://", f"host=127.0.0.1 pasword={WRONG}", f"postgresql://me:{WRONG}@h:port/x"],
)
def test_not_an_address(dbperf: CommandLine, address: str) -> None:
    line = dbperf.refused("analyze", "--db", address, "--sql", "q.sql")
    assert "give a libpq string (host=… dbname=…) or a postgresql:// URL" in line


@pytest.mark.parametrize("scheme", ["bogus", "bogus+driver", "mysql", "mysql+pymysql"])
def test_another_dialect(dbperf: CommandLine, scheme: str) -> None:
    line = dbperf.refused("analyze", "--db", f"{scheme}://me:{WRONG}@host/shop", "--sql", "q.sql")
    assert f"dbperf plans on PostgreSQL and SQLite, not on {scheme.split('+')[0]}; " in line
