"""Run the shop on a database of your own, measured by dbperf.

    PYTHONPATH=examples python -m shop postgresql://me@localhost/empty_database

fills the shop if it is not there yet, serves a day and keeps what was measured, one file for each engine.
"""

from __future__ import annotations

import argparse
import logging

import sqlalchemy

import dbperf
from shop import load, traffic

log = logging.getLogger("shop")


def main() -> None:
    """Read the command line, fill the shop where it is empty, run the traffic, save both workloads."""
    parser = argparse.ArgumentParser(prog="shop", description="A web shop that queries PostgreSQL badly")
    parser.add_argument("url", type=sqlalchemy.make_url, help="SQLAlchemy URL of a PostgreSQL database")
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 makes 1.6 million rows")
    parser.add_argument("--rounds", type=int, default=20, help="how much traffic")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    psycopg, asyncpg = (given.url.set(drivername=f"postgresql+{driver}") for driver in ("psycopg", "asyncpg"))

    plain = sqlalchemy.create_engine(psycopg)
    if not sqlalchemy.inspect(plain).has_table("orders"):
        load.load(plain, given.scale, _log)
    plain.dispose()

    # The only lines that an application changes: both engines would come from SQLAlchemy.
    settings = dbperf.Settings(capture_parameters=True)
    engine = dbperf.create_engine(psycopg, dbperf=settings)
    async_engine = dbperf.create_async_engine(asyncpg, dbperf=settings)

    traffic.run(engine, async_engine, rounds=given.rounds, progress=_log)
    for measured, path in ((engine, "shop.sqlite"), (async_engine, "shop-async.sqlite")):
        dbperf.perf(measured).save(path)
        log.info("kept: dbperf analyze --workload %s --db …", path)


def _log(done: int, total: int, what: str) -> None:
    log.info("%3d %% %s", 100 * done // total, what)


if __name__ == "__main__":
    main()
