"""Looks a database over: what hides the truth from dbperf, and the statement that mends it. It only reads."""

from __future__ import annotations

from dbperf.model.checkup import Checkup
from dbperf.plans.target import is_sqlite


def checkup(target: str) -> Checkup:
    """Look over the database at `target`, a libpq string or a URL. Raises InputError or ConnectError."""
    if is_sqlite(target):
        from dbperf.plans.doctor import sqlite
        from dbperf.plans.sqlite.copy import file_of

        return sqlite.checkup(file_of(target))
    from dbperf.plans.doctor import postgres

    return postgres.checkup(target)
