"""How many connections this process may have open, of all that the server allows.

Each pool holds one shared advisory lock, of the server's lock table, on one of its
connections: the lock goes when the process does, however it ends, and everybody may count them. The
name of the application would have to be changed for that, and dashboards group by it.
"""

from __future__ import annotations

import random
from typing import Any

EVERY = 30.0
"""Seconds between two looks, give or take a fifth: processes that start together do not ask together."""
SHARE = 0.9
"""What all our processes may have together: somebody else will want a connection, too."""
_KEY = 0x6462_7065_7266
"""The advisory lock: "dbperf" in ASCII."""
_OURS = f"locktype = 'advisory' AND classid = {_KEY >> 32} AND objid = {_KEY & 0xFFFF_FFFF} AND objsubid = 1"

_SQL = f"""
SELECT pg_catalog.current_setting('max_connections')::int
     - pg_catalog.current_setting('superuser_reserved_connections')::int
     - coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),
       (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user),
       (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
       (SELECT count(DISTINCT pid) FROM pg_catalog.pg_locks WHERE {_OURS}),
       EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE {_OURS} AND pid = pg_catalog.pg_backend_pid()),
       pg_catalog.pg_backend_pid()
"""  # noqa: S608  numbers of our own
_LOCK = f"SELECT pg_catalog.pg_try_advisory_lock_shared({_KEY})"


def share(connection: Any, driver_connection: Any, *, registered: bool) -> int | None:
    """This process's share of the server's connections; None behind a proxy, which knows limits of its own,
    and with a driver that does not say which server process it was told of, so that there may be one.

    `connection` is one of SQLAlchemy's DBAPI connections, and nobody else uses it meanwhile; a transaction
    may be open afterwards. `registered`: the pool holds its lock on a connection that is still open.
    Raises what the driver raises.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(_SQL)
        allowed, *limits, processes, ours, backend = cursor.fetchone()
        # pgbouncer makes up the number that its clients are told. A lock that is taken through it stays on
        # whatever connection of its own it had just lent, and nobody ever lets go of it.
        if _backend(driver_connection) != backend:
            return None
        if not registered and not ours:
            cursor.execute(_LOCK)
            processes += 1
    finally:
        cursor.close()
    total = min([allowed, *(limit for limit in limits if limit is not None and limit >= 0)])
    return max(1, int(total * SHARE / max(processes, 1)))


def pause() -> float:
    """Seconds until the next look."""
    return EVERY * random.uniform(0.8, 1.2)  # noqa: S311  no secret


def _backend(connection: Any) -> int | None:
    """The server process as the driver was told when it connected."""
    if (ask := getattr(connection, "get_server_pid", None)) is not None:  # asyncpg
        return int(ask())
    if (info := getattr(connection, "info", None)) is not None:  # psycopg
        return int(info.backend_pid)
    return None
