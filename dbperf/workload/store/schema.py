"""Which version a store's tables are of; made, checked, and changed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, inspect, literal, select
from sqlalchemy.exc import OperationalError

from dbperf.errors import StoreError
from dbperf.workload.store.connect import Place
from dbperf.workload.store.tables import APPLICATION_ID, HEAD, meta, metadata, version


@dataclass(frozen=True, slots=True)
class Standing:
    """A store as it is now. `clock` is its server's, seconds since 1970; None for a file, which has none."""

    store_id: int
    clock: float | None


def check(connection: Connection, place: Place) -> Standing:
    """Look whether the tables are those this dbperf knows. Raises StoreError when not."""
    of_server = connection.dialect.name == "postgresql"
    clock = func.extract("epoch", func.clock_timestamp()) if of_server else literal(None)
    store_id = select(meta.c.value).where(meta.c.key == "id").scalar_subquery()
    try:
        row = connection.execute(select(version.c.version_num, store_id, clock)).one_or_none()
    except OperationalError as error:
        if "no such table" not in str(error.orig):
            raise
        row = None
    upgrade = f"run dbperf store upgrade {place.file or 'URL'}"
    if row is None or row[1] is None:
        raise StoreError(f"{place.label}: there is no dbperf store in it: {upgrade}")
    if row[0] > HEAD:
        newer = f"schema {row[0]}, this one knows {HEAD}"
        raise StoreError(f"{place.label}: written by a newer dbperf ({newer}): upgrade dbperf")
    if row[0] < HEAD:
        older = f"schema {row[0]}, this one needs {HEAD}"
        raise StoreError(f"{place.label}: written by an older dbperf ({older}): {upgrade}")
    return Standing(int(row[1]), None if row[2] is None else float(row[2]))


def create(connection: Connection) -> None:
    """Make the tables of a new file, inside a transaction, unless another process was first.

    As the migrations make them, which a test compares, and without the second that Alembic takes to load.
    """
    if inspect(connection).has_table(version.name):
        return
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(version).values(version_num=HEAD))
    identify(connection)


def identify(connection: Connection) -> None:
    """Give a new store its random id, and a file the mark of dbperf's."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(insert(meta).values(key="id", value=str(secrets.randbits(63))))
