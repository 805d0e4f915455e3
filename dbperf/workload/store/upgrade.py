"""`dbperf store upgrade`: Alembic's migrations, run beside whoever is writing."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from dbperf.errors import InputError, StoreError
from dbperf.workload.store.connect import connect, place_of, telling, transaction
from dbperf.workload.store.partitions import make_partitions
from dbperf.workload.store.schema import create, identify
from dbperf.workload.store.tables import HEAD, SCHEMA, version

_FIRST = "0001"


def upgrade(where: str | os.PathLike[str], to: str = HEAD) -> tuple[str, str]:
    """Bring a store to a revision, an earlier one too, in one transaction; the revision before and after.

    Makes the store where there is none; its revision is "" then. While the tables change, writers wait, and
    keep what they have; of two upgrades, the second finds it done. Going back drops what the later
    revision kept. Raises StoreError.
    """
    if not re.fullmatch(r"\d{4}", to) or not _FIRST <= to <= HEAD:
        raise InputError(f"--to {to}: revisions are {_FIRST} to {HEAD}")
    place = place_of(where)
    with telling(place), connect(place, "alone") as connection, transaction(connection):
        if place.file is None:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        before = revision(connection)
        if before > HEAD:
            raise StoreError(f"{place.label}: written by a newer dbperf (schema {before}): upgrade dbperf")
        if not before and place.file and to == HEAD:
            create(connection)
        elif before != to:
            _migrate(connection, before, to)
        if place.file is None and to == HEAD:  # an earlier revision has not all of the tables
            make_partitions(connection)
    return before, to


def revision(connection: Connection) -> str:
    """The revision of a store; "" where there is none."""
    if not inspect(connection).has_table(version.name):
        return ""
    return connection.execute(select(version.c.version_num)).scalar() or ""


def migrations() -> Path:
    """Where the migrations are: in the package in a wheel, beside it in a clone."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise InputError("the store's migrations are not installed: reinstall dbperf")


def _migrate(connection: Connection, before: str, to: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    (command.upgrade if before < to else command.downgrade)(config, to)
    if not before:
        identify(connection)
