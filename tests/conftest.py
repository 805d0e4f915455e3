"""One embedded PostgreSQL for the whole run, and a fresh database of it for each test that asks."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import psycopg
import pytest

from dbperf.embedded import Server, start

AS_ROOT = ["integration/test_embedded_as_root.py", "integration/test_store_as_root.py"]
collect_ignore = [] if os.geteuid() == 0 else AS_ROOT
# ANALYZE then reads every row of tables up to 300,000, and nothing else looks at a table meanwhile, which
# would keep VACUUM from marking its pages: the same statistics, so the same plans, each time.
SAME_PLANS = {"default_statistics_target": "1000", "autovacuum": "off"}

# What runs in the background ignores Ctrl-C, and children inherit that: the tests of Ctrl-C want the default.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "once: takes long, and SQLAlchemy's version is nothing to it")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with start(settings=SAME_PLANS) as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of a new, empty database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def psycopg_url(server: Server, database: str) -> str:
    return server.url("psycopg", database)


@pytest.fixture
def asyncpg_url(server: Server, database: str) -> str:
    return server.url("asyncpg", database)
