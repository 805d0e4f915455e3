"""What need not be made again: facts of statements, plans, as texts of whoever made them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping

from sqlalchemy import select

from dbperf.workload.store import tables
from dbperf.workload.store.read import opened
from dbperf.workload.store.rows import put

Statement = tuple[str, str]
"""Fingerprint and dialect."""
Plan = tuple[int, str]
"""The id of a statement, see `dbperf.workload.store.counts`, and what tells its plans apart."""


def get_facts(
    where: str | os.PathLike[str], version: str, wanted: Collection[Statement]
) -> dict[Statement, str]:
    """The facts that are known of statements, as made by a `version` of their maker. Raises StoreError."""
    columns = tables.facts.c
    query = select(tables.facts).where(
        columns.version == version, columns.fingerprint.in_({fingerprint for fingerprint, _ in wanted})
    )
    with opened(where) as connection:
        known = {(row.fingerprint, row.dialect): row.body for row in connection.execute(query)}
    return {each: known[each] for each in wanted if each in known}


def put_facts(where: str | os.PathLike[str], version: str, bodies: Mapping[Statement, str]) -> None:
    """Keep facts. Raises StoreError."""
    rows = [
        {"fingerprint": fingerprint, "dialect": dialect, "version": version, "body": body}
        for (fingerprint, dialect), body in bodies.items()
    ]
    with opened(where, "write") as connection:
        put(connection, tables.facts, rows)


def get_plans(
    where: str | os.PathLike[str], target: str, valid_for: str, wanted: Collection[int]
) -> dict[Plan, str]:
    """All plans of statements, by id, that are known for a target in the state `valid_for`.

    Raises StoreError.
    """
    columns = tables.plan.c
    query = select(tables.plan).where(
        columns.target == target,
        columns.valid_for == valid_for,
        columns.statement_id.in_(set(wanted)),
    )
    with opened(where) as connection:
        return {(row.statement_id, row.key): row.body for row in connection.execute(query)}


def put_plans(where: str | os.PathLike[str], target: str, valid_for: str, bodies: Mapping[Plan, str]) -> None:
    """Keep plans, in the place of those for an earlier state of the target. Raises StoreError."""
    common = {"target": target, "valid_for": valid_for, "at": int(time.time())}
    rows = [{"statement_id": each, "key": key, "body": body} | common for (each, key), body in bodies.items()]
    with opened(where, "write") as connection:
        put(connection, tables.plan, rows)


def salt(where: str | os.PathLike[str]) -> bytes:
    """What a store hides values with where it only has to know them again. Raises StoreError."""
    query = select(tables.meta.c.value).where(tables.meta.c.key == "id")
    with opened(where) as connection:
        return str(connection.execute(query).scalar()).encode()
