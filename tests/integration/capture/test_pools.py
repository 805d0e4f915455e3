"""Pools of other kinds; what is put on an engine comes off again."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

import dbperf
from dbperf.model.pools import Pool


def pool_of(engine: sa.Engine) -> Pool:
    (found,) = dbperf.perf(engine).workload().pools
    return found


@pytest.mark.parametrize("poolclass", [NullPool, StaticPool])
def test_other_pools(poolclass: type[sa.Pool], psycopg_url: str) -> None:
    engine = dbperf.create_engine(psycopg_url, poolclass=poolclass)
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))
    pool = pool_of(engine)
    assert (pool.name, pool.checkouts, pool.held.count) == (poolclass.__name__, 3, 3)
    assert pool.connects == (3 if poolclass is NullPool else 1)
    engine.dispose()


def test_a_disposed_engine_is_measured_on_and_closing_leaves_nothing(psycopg_url: str) -> None:
    engine = sa.create_engine(psycopg_url)
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    dialect = dict(vars(engine.dialect))
    perf = dbperf.instrument(engine)
    with engine.connect() as connection:
        engine.dispose()
        connection.execute(sa.text("select 1"))
        connection.invalidate()  # the pool that it goes back to is not there any more
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    (pool,) = perf.workload().pools
    assert (pool.checkouts, pool.held.count) == (2, 2)
    perf.close()
    assert vars(engine.dialect) == dialect
    assert not {"_do_get", "_do_return_conn", "recreate"} & vars(engine.pool).keys()
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    assert perf.workload().statements[0].calls == 2
    engine.dispose()
