"""What each driver can tell of a connection, and how a call blocked on one is made to fail. No IO."""

from __future__ import annotations

import os
import socket
from typing import Any, Literal

Activity = Literal["executing", "idle_in_transaction", "idle", "unknown"]

# libpq's PQtransactionStatus: IDLE, ACTIVE, INTRANS, INERROR, UNKNOWN.
_OF_LIBPQ: tuple[Activity, ...] = (
    "idle",
    "executing",
    "idle_in_transaction",
    "idle_in_transaction",
    "unknown",
)


def activity(connection: Any) -> Activity:
    """What a DBAPI connection does at this moment; from any thread, never raises, never blocks."""
    try:
        driver = getattr(connection, "_connection", connection)  # SQLAlchemy's adapters of async drivers
        pgconn = getattr(driver, "pgconn", None)
        if pgconn is not None:
            return "executing" if driver._pipeline is not None else _OF_LIBPQ[pgconn.transaction_status]
        if driver is not connection and hasattr(driver, "is_in_transaction"):
            return _of_asyncpg(connection, driver)
    except Exception:  # noqa: BLE001  its owner may close it meanwhile
        return "unknown"
    return "unknown"


def _of_asyncpg(connection: Any, driver: Any) -> Activity:
    if driver.is_closed():
        return "unknown"
    # The protocol hides what it waits for; the adapter holds this lock around statements, not around COMMIT.
    if connection._execute_mutex.locked():
        return "executing"
    return "idle_in_transaction" if driver.is_in_transaction() else "idle"


def interrupt(connection: Any) -> bool:
    """Make what is blocked on a connection fail at once, and the connection useless; whether it could.

    An asyncpg connection must be interrupted in its loop's thread.
    """
    try:
        driver = getattr(connection, "_connection", connection)
        pgconn = getattr(driver, "pgconn", None)
        if pgconn is not None:
            _shut_down(pgconn.socket)
            return True
        if driver is not connection and hasattr(driver, "is_in_transaction"):
            driver.terminate()
            return True
    except Exception:  # noqa: BLE001  closed already
        return False
    return False


def _shut_down(fileno: int) -> None:
    """Below TLS, so that nothing is said and nothing waited for; on a copy, which leaves libpq its own."""
    with socket.socket(fileno=os.dup(fileno)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
