"""What was advised and what became of it; facts and plans that need not be made again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def column(name: str, kind: Any = LONG) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def key(name: str, kind: Any = LONG) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "run",
        key("id"),
        column("at"),
        column("target", sa.Text),
        column("environment", sa.Text),
        column("server_version", sa.Text),
        column("report", sa.Text),
    )
    op.create_table(
        "recommendation",
        key("target", sa.Text),
        key("id", sa.Text),
        column("code", sa.Text),
        column("title", sa.Text),
        column("ddl", sa.Text),
        column("state", sa.Text),
        column("since"),
        column("reason", sa.Text),
    )
    op.create_table("finding", key("run_id"), key("recommendation_id", sa.Text), column("evidence", sa.Text))
    op.create_table(
        "facts",
        key("fingerprint", sa.Text),
        key("dialect", sa.Text),
        key("version", sa.Text),
        column("body", sa.Text),
    )
    op.create_table(
        "plan",
        key("statement_id"),
        key("target", sa.Text),
        key("key", sa.Text),
        column("valid_for", sa.Text),
        column("at"),
        column("body", sa.Text),
    )


def downgrade() -> None:
    for table in ("plan", "facts", "finding", "recommendation", "run"):
        op.drop_table(table)
