"""A plan: the tree that EXPLAIN prints, frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of a plan. Costs are planner units; `rows` is the estimate for one loop.

    `actual_rows` (for one loop) and `loops` are None unless the statement was executed.
    """

    kind: str
    schema: str = ""
    relation: str = ""
    alias: str = ""
    index: str = ""
    startup_cost: float = 0.0
    total_cost: float = 0.0
    rows: float = 0.0
    width: int = 0
    actual_rows: float | None = None
    loops: float | None = None
    filter: str = ""
    condition: str = ""
    sort_key: tuple[str, ...] = ()
    children: tuple[PlanNode, ...] = ()

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one statement. `seconds` is the server's execution time, None if only planned.

    `generic`: planned without parameter values.
    """

    root: PlanNode
    seconds: float | None = None
    generic: bool = False

    @property
    def cost(self) -> float:
        """Total cost in planner units."""
        return self.root.total_cost

    @property
    def indexes(self) -> frozenset[str]:
        """Names of the indexes that the plan uses."""
        return frozenset(node.index for node in self.root.walk() if node.index)

    def scan_of(self, relation: str) -> str:
        """How the plan reads `relation`: "Seq Scan on orders"; of a partitioned one, its first partition."""
        scans = [node for node in self.root.walk() if node.relation and node.kind != "ModifyTable"]
        named = [node for node in scans if node.relation == relation]
        return _describe((named or scans)[0]) if scans else ""


def _describe(node: PlanNode) -> str:
    using = next((below.index for below in node.walk() if below.index), "")
    return f"{node.kind} on {node.relation}" + (f" using {using}" if using else "")
