"""Which pool an engine of `dbperf.create_engine` gets; nothing is connected to."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine as plain_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool, SingletonThreadPool, StaticPool
from sqlalchemy.util import get_cls_kwargs

import dbperf
from dbperf import Settings
from dbperf.choosing import OURS, with_pool
from dbperf.errors import InputError
from dbperf.pool import AdaptivePool, AsyncAdaptivePool
from dbperf.settings import Resolved

PSYCOPG, ASYNCPG = "postgresql+psycopg://db/shop", "postgresql+asyncpg://db/shop"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBPERF_POOL", raising=False)


def test_ours_in_the_place_of_a_queue() -> None:
    assert type(dbperf.create_engine(PSYCOPG).pool) is AdaptivePool
    assert type(dbperf.create_async_engine(PSYCOPG).pool) is AsyncAdaptivePool
    assert type(dbperf.create_async_engine(ASYNCPG).pool) is AsyncAdaptivePool
    assert type(dbperf.create_engine(ASYNCPG).pool) is AsyncAdaptivePool


def test_keywords_of_both_reach_it() -> None:
    engine = dbperf.create_engine(PSYCOPG, pool_size=3, max_overflow=1, pool_timeout=2, max_waiting=9)
    assert isinstance(engine.pool, AdaptivePool)
    assert (engine.pool.size(), engine.pool.timeout()) == (3, 2)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite+aiosqlite://"])
def test_a_dialect_that_knows_better_keeps_its_own(url: str) -> None:
    create = dbperf.create_async_engine if "aio" in url else dbperf.create_engine
    assert type(create(url).pool) is (StaticPool if "aio" in url else SingletonThreadPool)


def test_a_file_of_sqlite_has_what_its_dialect_has() -> None:
    plain = type(sa.create_engine("sqlite:///a.db").pool)
    ours = type(dbperf.create_engine("sqlite:///a.db").pool)
    assert ours is (AdaptivePool if plain is QueuePool else plain)


def test_what_the_user_chose_stays() -> None:
    assert type(dbperf.create_engine(PSYCOPG, poolclass=NullPool).pool) is NullPool
    assert type(dbperf.create_engine(PSYCOPG, poolclass=QueuePool).pool) is QueuePool
    given = QueuePool(lambda: None)  # type: ignore[arg-type, return-value]
    assert dbperf.create_engine(PSYCOPG, pool=given).pool is given


@pytest.mark.parametrize("settings", [Settings(pool="sqlalchemy"), Settings(enabled=False)])
def test_switched_off_it_is_sqlalchemys_and_our_keywords_go(settings: Settings) -> None:
    known: dict[str, Any] = {"dbperf": settings, "pool_size": 3, "max_size": 9, "max_waiting": 4}
    engine = dbperf.create_engine(PSYCOPG, **known)
    assert type(engine.pool) is QueuePool
    assert engine.pool.size() == 3
    assert type(dbperf.create_async_engine(ASYNCPG, **known).pool) is AsyncAdaptedQueuePool
    with pytest.raises(TypeError, match="no_such_keyword"):
        dbperf.create_engine(PSYCOPG, no_such_keyword=1, **known)


def test_the_keywords_that_go_are_all_that_only_ours_knows() -> None:
    known = set(get_cls_kwargs(AdaptivePool)) - set(get_cls_kwargs(QueuePool))
    assert {each for each in known if not each.startswith("_")} == OURS


@pytest.mark.parametrize("settings", ["enabled=False", "pool='sqlalchemy'"])
def test_who_has_no_pool_of_ours_does_not_load_it(settings: str) -> None:
    program = (
        "import sys, dbperf\n"
        f"dbperf.create_engine('{PSYCOPG}', max_size=9, dbperf=dbperf.Settings({settings}))\n"
        "print([name for name in sys.modules if name.startswith('dbperf.pool')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(("variable", "value"), [("DBPERF_POOL", "sqlalchemy"), ("DBPERF_ENABLED", "0")])
def test_switched_off_from_outside(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    assert type(dbperf.create_engine(PSYCOPG, max_size=9).pool) is QueuePool


def test_fifo_is_ours_with_a_size_of_its_own() -> None:
    chosen = with_pool(PSYCOPG, {"pool_size": 3}, Resolved(pool="fifo"))
    assert chosen == {"pool_size": 3, "poolclass": AdaptivePool, "adaptive": False}
    assert with_pool(PSYCOPG, {"adaptive": True}, Resolved(pool="fifo"))["adaptive"]


def test_an_engine_that_is_measured_and_no_more_keeps_its_pool() -> None:
    assert type(sa.create_engine(f"{PSYCOPG}?plugin=dbperf&dbperf_pool=fifo").pool) is QueuePool
    assert type(plain_async_engine(f"{ASYNCPG}?plugin=dbperf").pool) is AsyncAdaptedQueuePool
    assert type(dbperf.create_engine(f"{PSYCOPG}?plugin=dbperf", max_size=9).pool) is QueuePool
    engine = sa.create_engine(PSYCOPG)
    dbperf.instrument(engine, Settings(pool="fifo"))
    assert type(engine.pool) is QueuePool


def test_a_pool_that_there_is_not() -> None:
    with pytest.raises(InputError, match=r"^Settings: pool takes adaptive, fifo or sqlalchemy, not 'best'$"):
        dbperf.create_engine(PSYCOPG, dbperf=Settings(pool="best"))
    with pytest.raises(InputError, match=r"^URL: pool takes adaptive, fifo or sqlalchemy, not 'best'$"):
        sa.create_engine(f"{PSYCOPG}?plugin=dbperf&dbperf_pool=best")


def test_a_dialect_that_there_is_not_is_sqlalchemys_to_tell() -> None:
    with pytest.raises(sa.exc.NoSuchModuleError):
        dbperf.create_engine("postgresql+nobody://db/shop")
