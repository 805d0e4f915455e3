"""Engines of each driver, and what was seen of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import dbperf
from dbperf.model.workload import Statement, Workload


@pytest.fixture(params=["sqlite", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that is reached without asyncio."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.sqlite"
    return str(request.getfixturevalue("psycopg_url"))


@pytest.fixture(params=["psycopg", "asyncpg"])
def async_url(request: pytest.FixtureRequest) -> str:
    """Of a database that is reached by asyncio."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = dbperf.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres(psycopg_url: str) -> Iterator[sa.Engine]:
    engine = dbperf.create_engine(psycopg_url)
    yield engine
    engine.dispose()


@pytest.fixture
def seen() -> Callable[[Any], Workload]:
    """What was seen of an engine."""
    return lambda engine: dbperf.perf(engine).workload()


@pytest.fixture
def only() -> Callable[[Any, str], Statement]:
    """The statement of an engine or a workload with this in its text; there must be one."""

    def only(where: Any, part: str) -> Statement:
        workload = where if isinstance(where, Workload) else dbperf.perf(where).workload()
        (found,) = [each for each in workload.statements if part in each.sql]
        return found

    return only


@pytest.fixture
def asynchronously() -> Callable[..., Workload]:
    """Runs a coroutine function on an engine of its own; what was seen of that."""

    def run(url: str, work: Callable[[AsyncEngine], Awaitable[object]], **kw: Any) -> Workload:
        async def main() -> Workload:
            engine = dbperf.create_async_engine(url, **kw)
            try:
                await work(engine)
            finally:
                await engine.dispose()
            return dbperf.perf(engine).workload()

        return asyncio.run(main())

    return run
