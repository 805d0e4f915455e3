"""Alembic's entry: it gets a connection inside a transaction from dbperf/workload/store/upgrade.py."""

from __future__ import annotations

from alembic import context

from dbperf.workload.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
