"""A PostgreSQL database looked over, with short timeouts: `CHECKS` is the table of contents."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg

from dbperf.errors import ConnectError
from dbperf.model.checkup import Check, Checkup, Status
from dbperf.plans.connect import Connection, connect, database_of
from dbperf.plans.doctor import extensions, server, settings, tables
from dbperf.plans.doctor.reconcile import Recorded, reconciling
from dbperf.plans.explain import failure, reason_of

TIMEOUT = "10s"

CHECKS: tuple[Callable[[Connection], Check], ...] = (
    server.server_version,
    server.recovery,
    server.pooler,
    tables.privileges,
    tables.analyzed,
    tables.fresh_statistics,
    tables.autovacuum,
    tables.valid_indexes,
    tables.column_targets,
    settings.statistics_target,
    settings.planner_methods,
    settings.track_io_timing,
    settings.compute_query_id,
    extensions.pg_stat_statements,
    extensions.hypopg,
)


def checkup(target: str, recorded: Recorded | None = None) -> Checkup:
    """See doctor.checkup."""
    checks = (*CHECKS, reconciling(recorded)) if recorded else CHECKS
    with closing(connect(target)) as connection:
        connection.prepare_threshold = None  # a pooler may not know what is prepared
        try:
            found = tuple(_checked(check, connection) for check in checks)
            (version,) = connection.execute("SHOW server_version").fetchone() or ("",)
        except psycopg.Error as error:
            raise ConnectError(str(failure(connection, error))) from None
        return Checkup(database_of(connection), f"PostgreSQL {version.split()[0]}", found)


def _checked(check: Callable[[Connection], Check], connection: Connection) -> Check:
    """The check, or that it could not be made: one that fails does not stop the others."""
    try:
        with connection.transaction():
            # Of this transaction alone: behind a pooler, the session is the next client's.
            connection.execute(
                "SET TRANSACTION READ ONLY;"
                f"SET LOCAL statement_timeout = '{TIMEOUT}'; SET LOCAL lock_timeout = '1s'"
            )
            return check(connection)
    except psycopg.Error as error:
        if connection.closed:
            raise
        name = check.__name__.replace("_", "-")
        return Check(name, Status.INFO, f"could not be checked: {reason_of(error)}")
