"""Run-time figures; of statements the time split, failures, operations and accesses."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WINDOWS = ("minute", "hour", "day")
OPTIONS: dict[str, Any] = {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (starts)"}


def column(name: str, kind: Any = LONG) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def key(name: str, kind: Any = LONG) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "figure",
        key("id"),
        column("kind", sa.Text),
        column("name", sa.Text),
        column("database", sa.Text),
        column("first_seen"),
    )
    op.create_table("label", key("id"), column("kind", sa.Text), column("body", sa.Text))
    for window in WINDOWS:
        name, keys = f"figure_{window}", (key("figure_id"), key("starts"), key("writer_id"))
        op.create_table(name, *keys, column("counts", sa.Text), column("counted"), **OPTIONS)
        if op.get_context().dialect.name == "postgresql":
            op.execute(f"CREATE TABLE {name}_rest PARTITION OF {name} DEFAULT")
        change(
            window,
            (key("statement_id"), key("starts"), key("writer_id")),
            "calls parameter_sets rows unread_rows errors timeouts cancellations wait_ns execute_ns fetch_ns",
            "latency sites failures operations accesses",
            "counted",
            **OPTIONS,
        )
    # It tells the later of two states of a row; only those of minutes change after they were written.
    op.execute("UPDATE minute SET counted = calls")
    more = "unlocated_calls unsplit_calls own_ns own_calls"
    change_writer(f"folded_calls folded_ns observer_failures flush_failures {more}")


def downgrade() -> None:
    change_writer("folded_calls observer_failures flush_failures")
    for window in WINDOWS:
        change(
            window,
            (key("statement_id"), key("starts"), key("writer_id")),
            "calls parameter_sets rows errors cancellations execute_ns",
            "latency sites",
            **OPTIONS,
        )
        op.drop_table(f"figure_{window}")
    op.drop_table("label")
    op.drop_table("figure")


def change_writer(unseen: str) -> None:
    change("writer", (key("id"), column("host", sa.Text)), f"pid started seen flushes {unseen}")


def change(
    table: str,
    first: tuple[sa.Column[Any], ...],
    numbers: str,
    texts: str = "",
    more: str = "",
    **options: Any,
) -> None:
    """Leave these columns to a table; new ones are 0 or empty in the rows that are there."""
    columns = [
        *first,
        *map(column, numbers.split()),
        *(column(name, sa.Text) for name in texts.split()),
        *map(column, more.split()),
    ]
    before = [each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)]
    empty = {each.name: "''" if isinstance(each.type, sa.Text) else "0" for each in columns}
    if op.get_context().dialect.name == "postgresql":
        for each in columns:
            if each.name not in before:
                each.server_default = sa.DefaultClause(sa.text(empty[each.name]))
                op.add_column(table, each)
                op.alter_column(table, each.name, server_default=None)
        for name in before:
            if name not in empty:
                op.drop_column(table, name)
        return
    # SQLite keeps the text that a table was made by, and a test compares it: so the table is made anew.
    op.rename_table(table, f"old_{table}")
    op.create_table(table, *columns, **options)
    values = ", ".join(name if name in before else empty[name] for name in empty)
    op.execute(f"INSERT INTO {table} ({', '.join(empty)}) SELECT {values} FROM old_{table}")  # noqa: S608
    op.drop_table(f"old_{table}")
