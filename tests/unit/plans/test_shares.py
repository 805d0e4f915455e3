"""What each node of a plan accounts for by itself."""

from __future__ import annotations

from typing import Any

import pytest

from dbperf.model.plan import Plan, PlanNode
from dbperf.plans.shares import shares


def node(kind: str, cost: float, *children: PlanNode, **values: Any) -> PlanNode:
    """A node of a planned statement; the first child of a join is its outer one."""
    return PlanNode(kind, total_cost=cost, children=children, **values)


def ran(kind: str, milliseconds: float, *children: PlanNode, loops: float = 1, **values: Any) -> PlanNode:
    """A node of an executed statement: milliseconds for one loop."""
    return PlanNode(kind, actual_seconds=milliseconds / 1000, loops=loops, children=children, **values)


def cost_shares(root: PlanNode) -> list[float]:
    return [round(each, 3) for each in shares(Plan(root))]


def time_shares(root: PlanNode) -> list[float]:
    return [round(each, 3) for each in shares(Plan(root, seconds=root.actual_seconds))]


def test_a_node_s_own_is_what_its_children_leave() -> None:
    assert cost_shares(node("Sort", 100, node("Seq Scan", 80, role="Outer"))) == [0.2, 0.8]
    assert time_shares(ran("Sort", 10, ran("Seq Scan", 7, role="Outer"))) == [0.3, 0.7]


def test_an_inner_side_is_run_for_every_row_of_the_outer_one() -> None:
    outer = node("Seq Scan", 20, role="Outer", rows=100)
    assert cost_shares(node("Nested Loop", 200, outer, node("Index Scan", 1, role="Inner"))) == [
        0.4,
        0.1,
        0.5,
    ]
    outer = ran("Seq Scan", 2, role="Outer")
    looped = ran("Index Scan", 0.05, role="Inner", loops=100)
    assert time_shares(ran("Nested Loop", 10, outer, looped)) == [0.3, 0.2, 0.5]


def test_an_inner_side_takes_what_is_left_at_most() -> None:
    """Rescans are cheaper than first scans: the sum of them would be more than the join."""
    outer = node("Seq Scan", 150, role="Outer", rows=100)
    assert cost_shares(node("Nested Loop", 200, outer, node("Index Scan", 8, role="Inner"))) == [
        0,
        0.75,
        0.25,
    ]


def test_what_is_materialised_is_made_once() -> None:
    outer = node("Seq Scan", 50, role="Outer", rows=1000)
    kept = node("Materialize", 30, node("Seq Scan", 25, role="Outer"), role="Inner")
    assert cost_shares(node("Nested Loop", 100, outer, kept)) == [0.2, 0.5, 0.05, 0.25]


def test_below_a_limit_nodes_do_not_run_to_their_end() -> None:
    assert cost_shares(node("Limit", 5, node("Seq Scan", 1000, role="Outer"))) == [0, 1]


def test_below_a_limit_a_hash_table_is_built_whole() -> None:
    hashed = node("Hash", 80, node("Seq Scan", 80, role="Outer"), role="Inner", startup_cost=80)
    join = node("Hash Join", 1100, node("Seq Scan", 900, role="Outer"), hashed, role="Outer", startup_cost=90)
    limit, own, outer, build, scan = cost_shares(node("Limit", 100, join))
    assert (limit, build, scan) == (0, 0, 0.8)
    assert outer == 0.089  # 10 of the 1,010 that the join takes after its start
    assert own == 0.111


@pytest.mark.parametrize(
    ("kind", "title", "scanned"),
    [("Aggregate", "HashAggregate", 0.9), ("Aggregate", "GroupAggregate", 0), ("Sort", "Sort", 0.9)],
)
def test_below_a_limit_what_blocks_reads_everything(kind: str, title: str, scanned: float) -> None:
    below = node("Seq Scan", 90, role="Outer")
    top = node(kind, 200, below, role="Outer", title=title, startup_cost=100)
    assert cost_shares(node("Limit", 100, top))[2] == scanned


def test_an_initplan_is_charged_where_it_is_listed_and_timed_where_it_is_used() -> None:
    for name, text in (("InitPlan 1 (returns $0)", "(a > $0)"), ("InitPlan 1", "(a > (InitPlan 1).col1)")):
        details = (("Filter", text),)
        initplan = node("Result", 60, role="InitPlan", subplan=name)
        scan = node("Seq Scan", 30, role="Outer", details=details)
        assert cost_shares(node("Aggregate", 100, initplan, scan)) == [0.1, 0.6, 0.3]
        run = ran("Result", 6, role="InitPlan", subplan=name)
        assert time_shares(ran("Aggregate", 10, run, ran("Seq Scan", 9, details=details))) == [0.1, 0.6, 0.3]


def test_an_initplan_of_a_select_list_is_timed_where_it_is_listed() -> None:
    run = ran("Result", 6, role="InitPlan", subplan="InitPlan 1")
    assert time_shares(ran("Seq Scan", 10, run)) == [0.4, 0.6]


def test_similar_names_are_told_apart() -> None:
    """$1 is not $12, InitPlan 1 is not InitPlan 12."""
    for mine, other in (("InitPlan 1 (returns $1)", "$12"), ("InitPlan 1", "(InitPlan 12).col1")):
        run = ran("Result", 6, role="InitPlan", subplan=mine)
        scan = ran("Seq Scan", 3, details=(("Filter", f"(a > {other})"),))
        assert time_shares(ran("Aggregate", 10, run, scan)) == [0.1, 0.6, 0.3]


def test_a_gather_runs_the_initplans_of_its_workers() -> None:
    details = (("Filter", "(a > (InitPlan 1).col1)"),)
    scan = ran("Seq Scan", 2, loops=2, details=details, role="Outer")
    run = ran("Result", 6, role="InitPlan", subplan="InitPlan 1")
    root = ran("Aggregate", 10, run, ran("Gather", 9, scan, role="Outer"))
    assert time_shares(root) == [0.1, 0.6, 0.1, 0.2]


def test_a_cte_is_timed_in_the_scans_that_pull_it() -> None:
    cte = ran("Seq Scan", 6, role="InitPlan", subplan="CTE c")
    first, second = ran("CTE Scan", 2, reads="c"), ran("CTE Scan", 5, reads="c")
    assert time_shares(ran("Nested Loop", 8, cte, first, second)) == [0.125, 0.75, 0, 0.125]


def test_workers_run_side_by_side() -> None:
    """Three processes of 4 ms each are 4 ms of the clock."""
    scan = ran("Seq Scan", 4, loops=3, role="Outer")
    assert time_shares(ran("Gather", 10, scan)) == [0.6, 0.4]
    inner = ran("Index Scan", 0.001, loops=3000, role="Inner")
    join = ran("Nested Loop", 4, ran("Seq Scan", 2, loops=3, role="Outer"), inner, loops=3, role="Outer")
    assert time_shares(ran("Gather", 10, join)) == [0.6, 0.1, 0.2, 0.1]


def test_a_subplan_of_a_gather_is_the_leader_s() -> None:
    subplan = ran("Result", 1, loops=3, role="SubPlan", subplan="SubPlan 1")
    root = ran("Gather", 10, ran("Seq Scan", 4, loops=3, role="Outer"), subplan)
    assert time_shares(root) == [0.3, 0.4, 0.3]


def test_subplans() -> None:
    """Of a select list it is run for each row; hashed, once; of a filter, as often as fills the cost."""
    subplan = node("Result", 8, role="SubPlan", subplan="SubPlan 1")
    for details, expected in (
        ((), [0.2, 0.8]),
        ((("Filter", "(hashed SubPlan 1)"),), [0.92, 0.08]),
        ((("Filter", "((SubPlan 1) > 1)"),), [0.04, 0.96]),
    ):
        assert cost_shares(node("Seq Scan", 100, subplan, rows=10, details=details)) == expected


def test_nothing_is_negative_and_all_add_up() -> None:
    strange = ran("Hash Join", 1, ran("Seq Scan", 5, role="Outer"), ran("Hash", 3, loops=0), loops=2)
    parts = shares(Plan(strange, seconds=0.002))
    assert min(parts) == 0
    assert sum(parts) == pytest.approx(1)


def test_a_plan_without_a_cost_has_no_shares() -> None:
    assert cost_shares(node("Scan", 0, node("Search", 0))) == [0, 0]
