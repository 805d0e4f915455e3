"""The `build` engine: a real index in a transaction that is rolled back. Exact, and it locks the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg

from dbperf.errors import StatementError, UnsafeError
from dbperf.model.index import IndexSpec, quoted
from dbperf.model.plan import Plan
from dbperf.plans.connect import Connection
from dbperf.plans.explain import LOCK_TIMEOUT_MS, explain, failure, read_only, run
from dbperf.plans.whatif import WhatIfIndex

BUILD_TIMEOUT_MS = 120_000
ENVIRONMENTS = ("staging", "disposable")


class BuildWhatIf:
    """CREATE INDEX … ROLLBACK on `connection`, which must be in autocommit mode and not shared.

    Writers of the table wait while a block is open. Raises UnsafeError unless `environment` is staging or
    disposable.
    """

    method = "a real index, built in a transaction and rolled back"

    def __init__(self, connection: Connection, environment: str) -> None:
        if environment not in ENVIRONMENTS:
            raise UnsafeError(
                f"no index is built in {environment}; point --db at a copy and say --environment staging"
            )
        self.connection = connection
        self._numbers = count(1)

    @contextmanager
    def indexes(self, specs: Sequence[IndexSpec]) -> Iterator[tuple[WhatIfIndex, ...]]:
        """See WhatIf.indexes."""
        with self.connection.transaction(force_rollback=True):
            yield tuple(self._create(spec) for spec in specs)

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """See WhatIf.explain."""
        return explain(self.connection, sql, parameters)

    @contextmanager
    def without(self, index: WhatIfIndex) -> Iterator[None]:
        """See Build.without. A savepoint undoes the DROP."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(f"DROP INDEX {quoted(index.spec.schema)}.{quoted(index.name)}".encode())
            yield

    @contextmanager
    def executions(self, sql: str, parameters: Sequence[Any], timeout: float) -> Iterator[Callable[[], None]]:
        """See Build.executions. A client-side cursor: the rows are here when a call returns."""
        with read_only(self.connection, round(timeout * 1000)) as cursor:
            yield lambda: run(cursor, sql, parameters)

    def _create(self, spec: IndexSpec) -> WhatIfIndex:
        # A name of our own: the one that will be proposed may be taken by an invalid leftover.
        name = f"dbperf_whatif_{next(self._numbers)}"
        try:
            with self.connection.transaction(), psycopg.RawCursor(self.connection) as cursor:
                run(cursor, f"SET LOCAL statement_timeout = {BUILD_TIMEOUT_MS:d}")
                run(cursor, f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS:d}")
                run(cursor, spec.ddl(name=name))
                run(cursor, _JUDGE, [f"{quoted(spec.schema)}.{name}"])
                row = cursor.fetchone()
        except psycopg.Error as error:
            raise failure(self.connection, error, f"{spec.name} cannot be built: ") from None
        names, size, ignored = row or ((), 0, True)
        if ignored:
            # The planner ignores such an index in silence until every older snapshot is gone: a plan
            # without it says nothing.
            raise StatementError(
                f"{spec.name} not judged: another transaction keeps old rows of the table alive"
            )
        return WhatIfIndex(spec, name, frozenset(names), size)


# A partitioned table's index has its storage, and its names in plans, in the partitions.
_JUDGE = """
SELECT array_agg(c.relname::text), sum(pg_relation_size(c.oid))::bigint, bool_or(i.indcheckxmin)
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid, (SELECT $1::text::regclass AS oid) made
WHERE c.oid = made.oid OR c.oid IN (SELECT relid FROM pg_partition_tree(made.oid))
"""
