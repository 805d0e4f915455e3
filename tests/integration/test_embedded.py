"""The embedded server: what it gives, and that it never leaves anything behind."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from dbperf.embedded import Server


def test_answers_on_both_drivers(server: Server, psycopg_url: str, asyncpg_url: str) -> None:
    engine = create_engine(psycopg_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()

    async def ask() -> object:
        engine = create_async_engine(asyncpg_url)
        async with engine.connect() as connection:
            answer = await connection.scalar(text("SELECT 1"))
        await engine.dispose()
        return answer

    assert asyncio.run(ask()) == 1
