"""What a failure is: an error, a timeout or a cancellation."""

from __future__ import annotations

_QUERY_CANCELED, _LOCK_NOT_AVAILABLE = "57014", "55P03"


def kind_of(error: BaseException) -> str:
    """The counter of a failure: "errors", "timeouts" or "cancellations".

    A cancellation is what ends a task or greenlet from outside and is no Exception (CancelledError,
    GreenletExit, GeneratorExit, KeyboardInterrupt), and PostgreSQL's query_canceled. A timeout is a driver's
    own, PostgreSQL's statement_timeout, which has the same code but another text, and its lock_timeout.
    """
    if isinstance(error, TimeoutError):
        return "timeouts"
    if not isinstance(error, Exception):
        return "cancellations"
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state == _LOCK_NOT_AVAILABLE:
        return "timeouts"
    if state == _QUERY_CANCELED:
        return "timeouts" if "timeout" in str(error) else "cancellations"
    return "errors"
