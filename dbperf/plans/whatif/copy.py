"""The `copy` engine: a real index on a copy of a SQLite file. Exact, and harmless to the file itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from typing import Any

from dbperf.model.index import IndexSpec
from dbperf.model.plan import Plan
from dbperf.plans.sqlite.explain import executions, refusals, watched
from dbperf.plans.whatif import WhatIfIndex

BUILD_SECONDS = 120.0

Explain = Callable[[str, Sequence[Any] | None], Plan]


class CopyWhatIf:
    """CREATE INDEX … DROP INDEX on `copy`, where `explain` plans.

    Not in a transaction: a write that is interrupted in the middle would undo the index with itself.
    """

    method = "a real index, built on a copy of the file, where steps were counted up to 20 million"

    def __init__(self, copy: sqlite3.Connection, explain: Explain) -> None:
        self.copy = copy
        self.explain = explain
        self._numbers = count(1)

    @contextmanager
    def indexes(self, specs: Sequence[IndexSpec]) -> Iterator[tuple[WhatIfIndex, ...]]:
        """See WhatIf.indexes."""
        with ExitStack() as undo:
            made = []
            for spec in specs:
                made.append(index := self._create(spec))
                undo.callback(self.copy.execute, f"DROP INDEX {index.name}")
            yield tuple(made)

    @contextmanager
    def without(self, index: WhatIfIndex) -> Iterator[None]:
        """See Build.without. A rollback undoes the DROP."""
        with refusals():
            self.copy.execute("BEGIN")
            try:
                self.copy.execute(f"DROP INDEX {index.name}")
                yield
            finally:
                self.copy.execute("ROLLBACK")

    def executions(
        self, sql: str, parameters: Sequence[Any], timeout: float
    ) -> AbstractContextManager[Callable[[], None]]:
        """See Build.executions."""
        return executions(self.copy, sql, parameters, timeout)

    def _create(self, spec: IndexSpec) -> WhatIfIndex:
        name = f"dbperf_whatif_{next(self._numbers)}"
        before = self._bytes()
        with watched(self.copy, BUILD_SECONDS, about=f"{spec.name} cannot be built: "):
            self.copy.execute(spec.ddl(name=name))
        return WhatIfIndex(spec, name, frozenset({name}), self._bytes() - before)

    def _bytes(self) -> int:
        """Of the pages in use."""
        pages, free, size = (
            self.copy.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)
