"""From EXPLAIN's JSON to plan nodes: titles and details as EXPLAIN's text form has them."""

from __future__ import annotations

from typing import Any

import pytest

from dbperf.model.plan import Plan, PlanNode
from dbperf.plans.nodes import plan_from_json


def plan(**raw: Any) -> Plan:
    return plan_from_json([{"Plan": {"Node Type": "Seq Scan"} | raw}])


def node(kind: str, **raw: Any) -> PlanNode:
    return plan(**{"Node Type": kind} | {key.replace("_", " "): value for key, value in raw.items()}).root


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (node("Seq Scan"), "Seq Scan"),
        (node("Seq Scan", Parallel_Aware=True), "Parallel Seq Scan"),
        (node("Index Only Scan", Scan_Direction="Backward"), "Index Only Scan Backward"),
        (node("Index Scan", Scan_Direction="Forward"), "Index Scan"),
        (node("Hash Join", Join_Type="Inner"), "Hash Join"),
        (node("Hash Join", Join_Type="Left", Parallel_Aware=True), "Parallel Hash Left Join"),
        (node("Nested Loop", Join_Type="Semi"), "Nested Loop Semi Join"),
        (node("Merge Join", Join_Type="Full"), "Merge Full Join"),
        (node("Aggregate", Strategy="Plain", Partial_Mode="Simple"), "Aggregate"),
        (node("Aggregate", Strategy="Hashed", Partial_Mode="Partial"), "Partial HashAggregate"),
        (node("Aggregate", Strategy="Sorted", Partial_Mode="Finalize"), "Finalize GroupAggregate"),
        (node("Aggregate", Strategy="Mixed"), "MixedAggregate"),
        (node("SetOp", Strategy="Hashed", Command="Except"), "HashSetOp Except"),
        (node("ModifyTable", Operation="Update"), "Update"),
    ],
)
def test_titles(found: PlanNode, title: str) -> None:
    assert found.title == title


def test_details() -> None:
    sort = node(
        "Sort",
        Sort_Key=["a", "b DESC"],
        Sort_Space_Type="Disk",
        Sort_Space_Used=2048,
        Sort_Method="external merge",
    )
    assert sort.details == (("Sort Key", "a, b DESC"), ("Spilled", "external merge, 2,048 kB on disk"))
    assert node("Hash", Hash_Batches=8).details == (("Spilled", "in 8 batches"),)
    assert node("Hash", Hash_Batches=1).details == ()
    scan = node("Index Only Scan", Heap_Fetches=1200, Index_Cond="(a = 1)", Filter="(b > 2)")
    assert scan.details == (("Index Cond", "(a = 1)"), ("Filter", "(b > 2)"), ("Heap Fetches", "1,200"))


def test_what_was_measured() -> None:
    ran = {"Actual_Rows": 3.0, "Actual_Loops": 2, "Actual_Total_Time": 1500.0}
    scan = node("Seq Scan", **ran, Rows_Removed_by_Filter=7, Rows_Removed_by_Index_Recheck=2)
    assert (scan.actual_rows, scan.loops, scan.actual_seconds, scan.removed_rows) == (3.0, 2, 1.5, 9)
    planned = node("Gather", Workers_Planned=4)
    assert (planned.workers, planned.actual_seconds, planned.removed_rows) == (4, None, None)
    assert node("Gather", Workers_Planned=4, Workers_Launched=1, **ran).workers == 1
    timed = plan_from_json([{"Plan": {"Node Type": "Result"}, "Execution Time": 12.5, "Planning Time": 0.5}])
    assert (timed.seconds, timed.planning_seconds) == (0.0125, 0.0005)
