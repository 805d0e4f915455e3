"""Plans under indexes that do not exist: the contract, and the engines that keep it, one file each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from dbperf.model.index import IndexSpec
from dbperf.model.plan import Plan


@dataclass(frozen=True, slots=True)
class WhatIfIndex:
    """An index as an engine made it; `shown` are its names in plans: a partitioned one has several."""

    spec: IndexSpec
    name: str
    shown: frozenset[str]
    size_bytes: int


class WhatIf(Protocol):
    """Plans statements as if indexes existed."""

    @property
    def method(self) -> str:
        """What a reader is told of how the plans were made."""

    def indexes(self, specs: Sequence[IndexSpec]) -> AbstractContextManager[tuple[WhatIfIndex, ...]]:
        """Within the block, `explain` plans as if `specs` existed; afterwards nothing is left of them.

        Raises StatementError when an index cannot be made or judged.
        """

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """Plan one statement, `$n` placeholders; None for a generic plan. Raises StatementError."""


class Build(WhatIf, Protocol):
    """A what-if engine whose indexes are real, so that statements can also be executed with them."""

    def without(self, index: WhatIfIndex) -> AbstractContextManager[None]:
        """Inside an `indexes` block: `index` is gone, and comes back without being built again."""

    def executions(
        self, sql: str, parameters: Sequence[Any], timeout: float
    ) -> AbstractContextManager[Callable[[], None]]:
        """Within the block, each call of what it gives executes the statement once and fetches its rows.

        A run ends after `timeout` seconds. Raises StatementError.
        """
