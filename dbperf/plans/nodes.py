"""From EXPLAIN's JSON to the frozen plan tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbperf.model.plan import Plan, PlanNode

_CONDITIONS = ("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter")


def plan_from_json(document: Any, *, generic: bool = False) -> Plan:
    """The plan in what `EXPLAIN (FORMAT JSON)` returned: a list of one mapping."""
    top = document[0]
    milliseconds = top.get("Execution Time")
    return Plan(
        root=_node(top["Plan"]),
        seconds=None if milliseconds is None else milliseconds / 1000,
        generic=generic,
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
        children=tuple(_node(child) for child in raw.get("Plans", ())),
    )
