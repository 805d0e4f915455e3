"""The server itself: its version, its role in replication, and what stands in front of it."""

from __future__ import annotations

from dbperf.model.checkup import Check, Status
from dbperf.plans.connect import Connection

OLDEST, NEWEST = 14, 18


def server_version(connection: Connection) -> Check:
    """Whether dbperf is tested on this version."""
    name = "server-version"
    version = connection.info.server_version
    major = version // 10000
    found = f"PostgreSQL {major}.{version % 10000}"
    if major < OLDEST:
        return Check(
            name,
            Status.ERROR,
            f"{found}: dbperf supports {OLDEST} to {NEWEST}",
            "its catalog lacks what dbperf reads",
            "reading the catalog may fail",
        )
    if major > NEWEST:
        return Check(name, Status.INFO, f"{found}: newer than {NEWEST}, the newest this dbperf was tested on")
    return Check(name, Status.OK, found)


def recovery(connection: Connection) -> Check:
    """Whether this is a standby, or another server where nothing can be written."""
    name = "recovery"
    row = connection.execute(
        "SELECT pg_is_in_recovery(), reset_val = 'on' FROM pg_settings"
        " WHERE name = 'default_transaction_read_only'"
    ).fetchone()
    standby, read_only = row or (False, False)
    if standby:
        return Check(
            name,
            Status.INFO,
            "a standby in recovery: it can be read only",
            "counts of changed rows and times of the last ANALYZE are the primary's and not known here",
            "no index can be tried here: analyze only in --environment production",
        )
    return Check(name, Status.OK, "read-only by default" if read_only else "a primary, writable")


def pooler(connection: Connection) -> Check:
    """Whether another process answers than the one the connection was told of, as behind a pooler."""
    name = "connection-pooler"
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row and row[0] == connection.info.backend_pid:
        return Check(name, Status.OK, "a direct connection")
    return Check(
        name,
        Status.INFO,
        "a connection pooler is in between: the server process is not the one this connection was told of",
        "in transaction mode a pooler may not know prepared statements (PgBouncer before 1.21 does not), and"
        " the waits for a connection that it adds are not the server's",
        "plans may fail: give --db the address of the server itself",
    )
