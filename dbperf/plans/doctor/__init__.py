"""Looks a database over: what hides the truth from dbperf, and the statement that mends it. It only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbperf.errors import InputError
from dbperf.model.checkup import Checkup
from dbperf.plans.target import is_sqlite

if TYPE_CHECKING:
    from dbperf.plans.doctor.reconcile import Recorded


def checkup(target: str, recorded: Recorded | None = None) -> Checkup:
    """Look over the database at `target`, a libpq string or a URL; where something was `recorded` on it, also
    whether the server counted the same. Raises InputError or ConnectError.
    """
    if is_sqlite(target):
        if recorded:
            raise InputError("--workload: SQLite counts no calls to compare those recorded with")
        from dbperf.plans.doctor import sqlite
        from dbperf.plans.sqlite.copy import file_of

        return sqlite.checkup(file_of(target))
    from dbperf.plans.doctor import postgres

    return postgres.checkup(target, recorded)
