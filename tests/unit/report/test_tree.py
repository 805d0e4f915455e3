"""A plan as a tree, on the terminal and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

from dbperf.model.explained import Explained
from dbperf.model.plan import Plan, PlanNode
from dbperf.report.tree import lines, planned_with, render_json

SQL = "SELECT * FROM orders JOIN people USING (person) WHERE total > $1"


def scan(name: str, **values: Any) -> PlanNode:
    return PlanNode("Seq Scan", relation=name, alias=name, title="Seq Scan", **values)


PEOPLE = PlanNode("Hash", title="Hash", rows=50, role="Inner", children=(scan("people", rows=50),))
ORDERS = PlanNode(
    "Index Scan",
    relation="orders",
    alias="o",
    index="orders_total",
    title="Parallel Index Scan",
    rows=2_500_000,
    details=(("Index Cond", "(total > 7)"),),
)
JOIN = PlanNode(
    "Hash Join",
    title="Hash Left Join",
    total_cost=1234.5,
    rows=12_000,
    details=(("Hash Cond", "(o.person = people.person)"),),
    children=(ORDERS, PEOPLE),
)
PLANNED = Explained(SQL, 3, Plan(JOIN), (0.2, 0.7, 0.0, 0.1), "statistics", ("7",), 4)


def shown(explained: Explained, width: int = 80) -> list[str]:
    return [line.plain.rstrip() for line in lines(explained, width)]


def executed(node: PlanNode, seconds: float = 0.1, shares: tuple[float, ...] = ()) -> Explained:
    plan = Plan(node, seconds=seconds, planning_seconds=0.002)
    return Explained("SELECT 1", 1, plan, shares or (1.0,) * len(list(node.walk())), "none")


def test_planned() -> None:
    assert shown(PLANNED) == [
        "SELECT * FROM orders JOIN people USING (person) WHERE total > $1",
        "planned with $1 = '7' (from the table statistics, the costliest of 4 sets)",
        "",
        "  cost    rows",
        "   20%  12,000  Hash Left Join",
        "                │    Hash Cond: (o.person = people.person)",
        "►  70%    2.5M  ├─ Parallel Index Scan using orders_total on orders o",
        "                │    Index Cond: (total > 7)",
        "    0%      50  └─ Hash",
        "   10%      50     └─ Seq Scan on people",
        "",
        "planner cost 1,234 (estimate, not time) · 12,000 rows expected · ► takes the",
        "most cost, 70%",
    ]


def test_executed() -> None:
    inner = scan("people", rows=1, actual_rows=30.0, loops=100, removed_rows=5.0, role="Inner")
    outer = PlanNode("Gather", title="Gather", rows=90, actual_rows=100.0, loops=1, workers=2, role="Outer")
    join = PlanNode(
        "Nested Loop",
        title="Nested Loop",
        total_cost=50,
        rows=100,
        actual_rows=1.0,
        loops=1,
        children=(outer, inner),
    )
    assert shown(executed(join, 0.1, (0.01, 0.04, 0.95))) == [
        "SELECT 1",
        "planned as given: it has no parameters",
        "",
        "     time  share  expected  rows  loops",
        "  1.00 ms     1%       100     1      1  Nested Loop",
        "                                         │    100x fewer rows than expected",
        "  4.00 ms     4%        90   100      1  ├─ Gather, 2 workers",
        "► 95.0 ms    95%         1    30    100  └─ Seq Scan on people",
        "                                              removed 500 rows, 5 in each of 100",
        "                                              loops",
        "                                              30x more rows than expected",
        "",
        "planner cost 50.0 (estimate, not time) · executed in 100 ms · planned in 2.00 ms",
        "· 1 row · ► takes the most time, 95%",
    ]


def test_a_node_that_never_ran() -> None:
    never = scan("people", rows=500, actual_rows=0.0, loops=0)
    top = PlanNode("Append", title="Append", rows=1, actual_rows=1.0, loops=1, children=(never,))
    text = "\n".join(shown(executed(top)))
    assert "-      -       500     -  never  └─ Seq Scan on people" in text
    assert "fewer" not in text


@pytest.mark.parametrize(
    ("kind", "title", "told"),
    [
        ("Limit", "Limit", False),
        ("Merge Join", "Merge Join", False),
        ("Nested Loop", "Nested Loop Semi Join", False),
        ("Nested Loop", "Nested Loop", True),
        ("Append", "Append", True),
    ],
)
def test_fewer_rows_say_nothing_where_nobody_asked_for_more(kind: str, title: str, told: bool) -> None:
    low = scan("low", rows=1000, actual_rows=5.0, loops=1)
    sort = PlanNode("Sort", title="Sort", rows=1000, actual_rows=5.0, loops=1, children=(low,))
    top = PlanNode(kind, title=title, rows=5, actual_rows=5.0, loops=1, children=(sort,))
    text = "\n".join(shown(executed(top)))
    assert text.count("200x fewer rows than expected") == 1 + told  # the sort has read all there was


def test_subplans_have_their_names() -> None:
    cte = scan("big", subplan="CTE totals", role="InitPlan")
    reader = PlanNode("CTE Scan", title="CTE Scan", reads="totals", alias="t")
    top = PlanNode("Result", title="Result", total_cost=1, children=(cte, reader))
    text = shown(Explained("s", 1, Plan(top), (0, 1, 0), "none"))
    assert text[5].endswith("├─ CTE totals: Seq Scan on big")
    assert text[6].endswith("└─ CTE Scan on totals t")


def test_a_plan_without_costs_has_no_columns() -> None:
    search = PlanNode("Search", relation="a", alias="a", index="a_k", condition="k=?")
    plan = Plan(PlanNode("Query", children=(search, PlanNode("Use temp B-TREE for order by"))))
    assert shown(Explained("s", 1, plan, (0.0, 0.0, 0.0), "none"))[3:] == [
        "Query",
        "├─ Search using a_k on a",
        "│    Condition: k=?",
        "└─ Use temp B-TREE for order by",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("depth", [3, 12, 40])
@pytest.mark.parametrize("seconds", [None, 12.5])
def test_a_deep_plan_stays_within_the_terminal(width: int, depth: int, seconds: float | None) -> None:
    ran: dict[str, Any] = {"actual_rows": 1e6, "loops": 12_345, "removed_rows": 1e5}
    node = scan("a_table_with_a_long_name", details=(("Filter", "(a = 1) AND " * 9),), **ran)
    for _ in range(depth):
        node = PlanNode(
            "Nested Loop", title="Nested Loop", total_cost=5, rows=7, children=(node, scan("x")), **ran
        )
    shares = (0.0,) * len(list(node.walk()))
    text = shown(Explained("SELECT " + "1, " * 300, 1, Plan(node, seconds), shares, "none"), width)
    assert max(map(cell_len, text)) <= width
    assert any("Seq Scan on" in line for line in text)


def test_a_title_is_never_cut() -> None:
    node = scan("a_table_with_a_name_that_is_longer_than_half_a_line")
    text = shown(Explained("s", 1, Plan(PlanNode("Limit", children=(node,))), (0.0, 0.0), "none"), 60)
    assert text[4:6] == [
        "└─ Seq Scan on",
        "     a_table_with_a_name_that_is_longer_than_half_a_line",
    ]


def test_names_are_shown_as_they_are_and_harmless() -> None:
    hostile = scan("[bold]\x1b[31m\u202e", details=(("Filter", "(a = '\x1b[2J')"),))
    text = "\n".join(shown(Explained("SELECT '\x1b[2J'", 1, Plan(hostile), (1.0,), "none", ("\x1b",))))
    assert "[bold]" in text
    assert not any(character in text for character in "\x1b\u202e")


def test_where_the_values_come_from() -> None:
    assert planned_with(Explained("s", 1, Plan(JOIN, generic=True), (), "generic")).startswith("generic plan")
    given = Explained("s", 1, Plan(JOIN), (), "captured", (1, None), 1)
    assert planned_with(given) == "planned with $1 = 1, $2 = None (as given)"


def test_why_it_was_not_executed() -> None:
    untimed = Explained("s", 1, Plan(JOIN), (1.0,) * 4, "none", untimed="random() is volatile")
    assert "not executed: random() is volatile" in shown(untimed)


def test_json() -> None:
    document = json.loads(render_json("h/1/d", [PLANNED]))
    assert (document["schema_version"], document["target"]) == (1, "h/1/d")
    (statement,) = document["statements"]
    assert (statement["sql"], statement["line"], statement["values"]) == (SQL, 3, ["7"])
    assert (statement["cost"], statement["seconds"]) == (1234.5, None)
    plan = statement["plan"]
    assert (plan["title"], plan["share"]) == ("Hash Left Join", 0.2)
    assert [child["share"] for child in plan["children"]] == [0.7, 0.0]
    assert plan["children"][0]["details"] == {"Index Cond": "(total > 7)"}

    node = scan("a", rows=1, actual_rows=500.0, loops=1)
    (statement,) = json.loads(render_json("d", [executed(node)]))["statements"]
    assert (statement["plan"]["misjudged"], statement["seconds"]) == (500.0, 0.1)
