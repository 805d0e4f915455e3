"""A plan: the tree that EXPLAIN prints, frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of a plan. Costs are planner units; `rows` is the estimate for one loop.

    `actual_rows`, `actual_seconds` (what is below included) and `removed_rows`, each for one loop, and
    `loops` are None unless the statement was executed. `title` is the kind as EXPLAIN's text has it
    ("Parallel Hash Left Join"). `role` is what it is to its parent (Outer, Inner, InitPlan, SubPlan …) and
    `subplan` its name there ("CTE totals"). `reads` is the CTE it scans. `details` are conditions and
    keys, labelled.
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
    title: str = ""
    role: str = ""
    subplan: str = ""
    reads: str = ""
    details: tuple[tuple[str, str], ...] = ()
    workers: int | None = None
    actual_seconds: float | None = None
    removed_rows: float | None = None
    children: tuple[PlanNode, ...] = ()

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def using(self) -> tuple[str, ...]:
        """Names of the indexes that this scan reads: a bitmap scan may combine several."""
        if self.index:
            return (self.index,)
        bitmaps = (child for child in self.children if child.kind in _BITMAPS)
        return tuple(name for child in bitmaps for name in child.using)

    def needs_all(self, child: PlanNode) -> bool:
        """Whether it has to read all of `child` before it can give its first row."""
        if self.kind == "Aggregate":
            return "GroupAggregate" not in self.title
        return self.kind in _BLOCKING or child.kind in _BITMAPS or child.subplan.startswith("InitPlan")


_BLOCKING = frozenset({"Sort", "Hash", "SetOp"})
_BITMAPS = frozenset({"BitmapAnd", "BitmapOr", "Bitmap Index Scan"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one statement. `seconds` is the server's execution time, None if only planned.

    `generic`: planned without parameter values. `planning_seconds` is None too, unless it was executed.
    """

    root: PlanNode
    seconds: float | None = None
    generic: bool = False
    planning_seconds: float | None = None

    @property
    def cost(self) -> float:
        """Total cost in planner units."""
        return self.root.total_cost

    @property
    def indexes(self) -> frozenset[str]:
        """Names of the indexes that the plan uses."""
        return frozenset(node.index for node in self.root.walk() if node.index)

    def scans(self) -> list[PlanNode]:
        """The nodes that read a table."""
        return [node for node in self.root.walk() if node.relation and node.kind != "ModifyTable"]

    def scan_of(self, relation: str, alias: str = "") -> str:
        """How the plan reads `relation`: "Seq Scan on orders"; of a partitioned one, its first partition.

        `alias` tells which scan of it is meant, where there are several.
        """
        scans = self.scans()
        named = [node for node in scans if node.relation == relation]
        meant = [node for node in scans if alias and node.alias == alias] + named + scans
        return describe(meant[0]) if meant else ""


def describe(scan: PlanNode) -> str:
    """A scan in a few words."""
    using = f" using {', '.join(scan.using)}" if scan.using else ""
    return f"{scan.kind} on {scan.relation}{using}"
