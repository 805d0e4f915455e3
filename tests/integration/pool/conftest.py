"""Engines with a pool of ours, of every kind: SQLAlchemy on threads and on an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbperf.pool import AdaptivePool, AsyncAdaptivePool


@pytest.fixture
def engine_of(psycopg_url: str) -> Iterator[Callable[..., sa.Engine]]:
    """An engine with an AdaptivePool made with these keywords."""
    made: list[sa.Engine] = []

    def engine_of(**options: Any) -> sa.Engine:
        made.append(sa.create_engine(psycopg_url, poolclass=AdaptivePool, **options))
        return made[-1]

    yield engine_of
    for each in made:
        each.dispose()


@pytest.fixture(params=["psycopg", "asyncpg"])
def async_engine_of(request: pytest.FixtureRequest) -> Callable[..., AsyncEngine]:
    """An asyncio engine with an AsyncAdaptivePool made with these keywords; the caller disposes of it."""
    url = str(request.getfixturevalue(f"{request.param}_url"))
    return lambda **options: create_async_engine(url, poolclass=AsyncAdaptivePool, **options)
