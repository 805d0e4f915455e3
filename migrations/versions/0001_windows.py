"""Statements, and their counts in windows of a minute, an hour and a day."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WINDOWS = ("minute", "hour", "day")


def column(name: str, kind: Any = LONG) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def key(name: str, kind: Any = LONG) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table("meta", key("key", sa.Text), column("value", sa.Text))
    op.create_table("merged", key("source_id"), column("at"))
    op.create_table(
        "statement",
        key("id"),
        column("sql", sa.Text),
        column("fingerprint", sa.Text),
        column("dialect", sa.Text),
        column("database", sa.Text),
        column("first_seen"),
    )
    op.create_table("site", key("id"), column("file", sa.Text), column("line"), column("function", sa.Text))
    op.create_table(
        "writer",
        key("id"),
        column("host", sa.Text),
        column("pid"),
        column("started"),
        column("seen"),
        column("flushes"),
        column("folded_calls"),
        column("observer_failures"),
        column("flush_failures"),
    )
    op.create_table(
        "sample",
        key("statement_id"),
        key("digest"),
        column("sql", sa.Text),
        column("parameters", sa.Text),
        column("seen"),
    )
    for window in WINDOWS:
        op.create_table(
            window,
            key("statement_id"),
            key("starts"),
            key("writer_id"),
            column("calls"),
            column("parameter_sets"),
            column("rows"),
            column("errors"),
            column("cancellations"),
            column("execute_ns"),
            column("latency", sa.Text),
            column("sites", sa.Text),
            sqlite_with_rowid=False,
            postgresql_partition_by="RANGE (starts)",
        )
        if op.get_context().dialect.name == "postgresql":
            # For what no partition was made for: a write never fails for want of one.
            op.execute(f"CREATE TABLE {window}_rest PARTITION OF {window} DEFAULT")


def downgrade() -> None:
    for table in (*WINDOWS, "sample", "writer", "site", "statement", "merged", "meta"):
        op.drop_table(table)
