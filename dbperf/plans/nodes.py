"""From EXPLAIN's JSON to the frozen plan tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbperf.model.plan import Plan, PlanNode

_CONDITIONS = ("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter")


# Those that say why a node costs what it costs, as EXPLAIN orders them.
_DETAILS = (
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
    "Filter",
    "Order By",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Cache Key",
    "Function Call",
)
_REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
_STRATEGIES = {"Sorted": "Group", "Hashed": "Hash", "Mixed": "Mixed"}


def plan_from_json(document: Any, *, generic: bool = False) -> Plan:
    """The plan in what `EXPLAIN (FORMAT JSON)` returned: a list of one mapping."""
    top = document[0]
    return Plan(
        root=_node(top["Plan"]),
        seconds=_seconds(top, "Execution Time"),
        generic=generic,
        planning_seconds=_seconds(top, "Planning Time"),
    )


def _node(raw: Mapping[str, Any]) -> PlanNode:
    return PlanNode(
        kind=raw["Node Type"],
        schema=raw.get("Schema", ""),
        relation=raw.get("Relation Name", ""),
        alias=raw.get("Alias", ""),
        index=raw.get("Index Name", ""),
        startup_cost=raw.get("Startup Cost", 0.0),
        total_cost=raw.get("Total Cost", 0.0),
        rows=raw.get("Plan Rows", 0),
        width=raw.get("Plan Width", 0),
        actual_rows=raw.get("Actual Rows"),
        loops=raw.get("Actual Loops"),
        filter=raw.get("Filter", ""),
        condition=next((raw[key] for key in _CONDITIONS if key in raw), ""),
        sort_key=tuple(raw.get("Sort Key", ())),
        title=_title(raw),
        role=raw.get("Parent Relationship", ""),
        subplan=raw.get("Subplan Name", ""),
        reads=raw.get("CTE Name", ""),
        details=tuple(_details(raw)),
        workers=raw.get("Workers Launched", raw.get("Workers Planned")),
        actual_seconds=_seconds(raw, "Actual Total Time"),
        removed_rows=sum(raw.get(key, 0) for key in _REMOVED) if "Actual Rows" in raw else None,
        children=tuple(_node(child) for child in raw.get("Plans", ())),
    )


def _seconds(raw: Mapping[str, Any], key: str) -> float | None:
    return raw[key] / 1000 if key in raw else None


def _title(raw: Mapping[str, Any]) -> str:
    """The node's kind in full, as EXPLAIN's text form puts it together."""
    kind, join, strategy = raw["Node Type"], raw.get("Join Type", "Inner"), raw.get("Strategy", "")
    words = [raw["Partial Mode"]] if raw.get("Partial Mode", "Simple") != "Simple" else []
    if raw.get("Parallel Aware"):
        words.append("Parallel")
    if kind == "ModifyTable":
        words.append(raw.get("Operation", kind))
    elif kind == "Aggregate":
        words.append(_STRATEGIES.get(strategy, "") + kind)
    elif kind == "SetOp":
        words.append(("Hash" if strategy == "Hashed" else "") + " ".join((kind, raw.get("Command", ""))))
    elif join != "Inner":
        words.append(f"{kind.removesuffix(' Join')} {join} Join")
    else:
        words.append(kind)
    if raw.get("Scan Direction") == "Backward":
        words.append("Backward")
    return " ".join(words)


def _details(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in _DETAILS:
        if key in raw:
            value = raw[key]
            yield key, ", ".join(value) if isinstance(value, list) else str(value)
    if raw.get("Sort Space Type") == "Disk":
        yield "Spilled", f"{raw['Sort Method']}, {raw['Sort Space Used']:,} kB on disk"
    batches = max(raw.get("Hash Batches", 1), raw.get("HashAgg Batches", 1))
    if batches > 1:
        yield "Spilled", f"in {batches:,} batches"
    if raw.get("Heap Fetches"):
        yield "Heap Fetches", f"{raw['Heap Fetches']:,}"
