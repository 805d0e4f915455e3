"""Whether the driver that a target needs can be loaded."""

from __future__ import annotations

from dbperf.errors import InputError
from dbperf.plans.target import is_sqlite


def check_driver(target: str) -> None:
    """Say in one line that psycopg finds no libpq. Raises InputError."""
    if is_sqlite(target):
        return
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise InputError("psycopg finds no libpq on this machine: pip install 'psycopg[binary]'") from None
