"""A program of a user: pgbench's transactions through SQLAlchemy, on two drivers; its workload is saved.

python bank.py FOLDER-OR-HOST PORT DATABASE WORKLOAD-FILE
"""

from __future__ import annotations

import asyncio
import random
import sys

from sqlalchemy import URL, Connection, MetaData, create_engine, insert, select, update

import dbperf
from dbperf.workload.file import save
from dbperf.workload.fold import merge

_, host, port, database, file = sys.argv
TRANSACTIONS = 5
SETTINGS = dbperf.Settings(capture_parameters=True)


def url(driver: str) -> URL:
    where = {"host": host, "port": port}
    return URL.create(f"postgresql+{driver}", "postgres", database=database, query=where)


tables = MetaData()
_plain = create_engine(url("psycopg"))
tables.reflect(_plain)
_plain.dispose()
accounts, branches, tellers, history = (
    tables.tables[f"pgbench_{name}"] for name in ("accounts", "branches", "tellers", "history")
)


def transfer(connection: Connection, aid: int, bid: int, tid: int, delta: int) -> None:
    mine = accounts.c.aid == aid
    connection.execute(update(accounts).where(mine).values(abalance=accounts.c.abalance + delta))
    connection.execute(select(accounts.c.abalance).where(mine)).scalar_one()
    connection.execute(
        update(tellers).where(tellers.c.tid == tid).values(tbalance=tellers.c.tbalance + delta)
    )
    connection.execute(
        update(branches).where(branches.c.bid == bid).values(bbalance=branches.c.bbalance + delta)
    )
    connection.execute(insert(history).values(tid=tid, bid=bid, aid=aid, delta=delta))


def orders() -> list[tuple[int, int, int, int]]:
    pick = random.Random(7).randint
    return [(pick(1, 500_000), pick(1, 5), pick(1, 50), pick(-5000, 5000)) for _ in range(TRANSACTIONS)]


def by_psycopg() -> dbperf.Perf:
    engine = dbperf.create_engine(url("psycopg"), dbperf=SETTINGS)
    for order in orders():
        with engine.begin() as connection:
            transfer(connection, *order)
    engine.dispose()
    return dbperf.perf(engine)


async def by_asyncpg() -> dbperf.Perf:
    engine = dbperf.create_async_engine(url("asyncpg"), dbperf=SETTINGS)
    for order in orders():
        async with engine.begin() as connection:
            await connection.run_sync(transfer, *order)
    await engine.dispose()
    return dbperf.perf(engine)


save(merge([by_psycopg().workload(), asyncio.run(by_asyncpg()).workload()]), file)
