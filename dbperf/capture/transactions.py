"""Behind BEGIN, COMMIT, ROLLBACK and pings."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from sqlalchemy.pool.base import _AdhocProxiedConnection

from dbperf.capture.recorder import Recorders
from dbperf.capture.scope import current

Ended = Callable[[str, int, Any, BaseException | None], None]
"""Called with what ended, how many nanoseconds it took, the connection, and what it failed with."""


def counting(recorders: Recorders, closed: Sized, give_up: Callable[[Exception], None]) -> Ended:
    """A function that counts in `recorders`, until something is in `closed`.

    SQLAlchemy rolls back as it returns a connection to its pool, also where nothing ran since the last
    COMMIT; that is no transaction and is not counted.
    """

    def ended(what: str, nanoseconds: int, connection: Any, error: BaseException | None) -> None:
        if closed:
            return
        try:
            timer = recorders.mine().timers[what]
            if error is not None:
                timer.errors += 1
            elif what in ("begin", "ping") or _was_used(what, connection):
                timer.add(nanoseconds)
        except Exception as failure:  # noqa: BLE001  an observer never raises
            give_up(failure)

    return ended


def _was_used(what: str, connection: Any) -> bool:
    """Whether something ran in the transaction that ended; it is over now."""
    try:
        checkout = connection._connection_record._dbperf
    except AttributeError:
        # Detached from its pool, or from one not watched then; or the dialect's own, at its first connect.
        return not isinstance(connection, _AdhocProxiedConnection)
    if what == "commit":  # what is read again may have been written meanwhile
        checkout.writes += 1
        if (operation := current.get()) is not None:
            operation.writes += 1
    used: bool = checkout.used
    checkout.used = False
    return used or what == "commit"
