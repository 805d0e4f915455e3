"""Which part of a plan's cost, or of its time, each node accounts for by itself.

EXPLAIN gives every node with all that is below it. The difference to its children is its own, but for:
loops; workers, whose times add up to more than the clock's; LIMIT, under which children do not run to their
end; subplans that the server charges where it runs them and lists somewhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.model.plan import Plan, PlanNode

_REPLAYED = frozenset({"Materialize", "Memoize"})
"""What is looped over without being run again: the join that asks pays for it."""
_ONCE = frozenset({"InitPlan", "SubPlan"})
_RETURNS = re.compile(r"\(returns ([^)]*)\)")


def shares(plan: Plan) -> tuple[float, ...]:
    """The share of each node, 0 to 1, in the order of `plan.root.walk()`: of the time if it was executed."""
    own = list(_own_seconds(plan.root) if plan.seconds is not None else _own_cost(plan.root, plan.cost))
    total = sum(own)
    return tuple(each / total if total else 0.0 for each in own)


def _own_cost(node: PlanNode, amount: float) -> Iterator[float]:
    """The cost of `node` and of all below it that `amount` is made of: more than its total with loops,
    less where a LIMIT stops it.
    """
    left = amount
    parts: dict[int, float] = {}
    # Repeated children last: how often they run is itself an estimate, so they take what is left at most.
    for place in sorted(range(len(node.children)), key=lambda at: _runs(node, node.children[at], left) > 1):
        child = node.children[place]
        parts[place] = min(_claim(node, child, amount) * _runs(node, child, left), left)
        left -= parts[place]
    yield left
    for place, child in enumerate(node.children):
        yield from _own_cost(child, parts[place])


def _claim(node: PlanNode, child: PlanNode, amount: float) -> float:
    """What a run of `child` takes when `node` takes `amount`."""
    if amount >= node.total_cost:
        return child.total_cost * amount / max(node.total_cost, 1e-9)
    if node.needs_all(child):
        return child.total_cost
    running = node.total_cost - node.startup_cost
    part = max(amount - node.startup_cost, 0.0) / running if running else 1.0
    return child.startup_cost + part * (child.total_cost - child.startup_cost)


def _runs(node: PlanNode, child: PlanNode, left: float) -> float:
    """How often `child` is run, as the planner expects it, for one run of `node`."""
    if child.role == "SubPlan":
        conditions = " ".join(text for _, text in node.details)
        name = child.subplan
        if f"hashed {name}" in conditions:
            return 1.0
        if name in conditions:  # for each row before the filter: how many, no plan says
            return max(left // max(child.total_cost, 1e-9), 1.0)
        return max(node.rows, 1.0)
    if node.kind == "Nested Loop" and child.role == "Inner" and child.kind not in _REPLAYED:
        outer = next(each for each in node.children if each.role == "Outer")
        return max(outer.rows, 1.0)
    return 1.0


def _own_seconds(root: PlanNode) -> list[float]:
    nodes: list[PlanNode] = []
    seconds: list[float] = []
    children: list[list[int]] = []

    def visit(node: PlanNode, processes: float) -> int:
        at = len(nodes)
        nodes.append(node)
        seconds.append((node.actual_seconds or 0.0) * (node.loops or 0.0) / processes)
        children.append([])
        for child in node.children:
            shared = processes * _processes(node, child)
            children[at].append(visit(child, shared))
        return at

    visit(root, 1.0)
    own = [
        took - sum(seconds[child] for child in below) for took, below in zip(seconds, children, strict=True)
    ]
    for at, below in enumerate(children):
        for child in below:
            _move(nodes, seconds, own, at, child)
    return [max(each, 0.0) for each in own]


def _processes(node: PlanNode, child: PlanNode) -> float:
    """How many processes run `child` side by side, for one that runs `node`."""
    if not node.kind.startswith("Gather") or child.role in _ONCE or not node.loops or not child.loops:
        return 1.0
    return max(child.loops / node.loops, 1.0)


def _move(nodes: list[PlanNode], seconds: list[float], own: list[float], parent: int, child: int) -> None:
    """Take the time of an InitPlan or CTE from the nodes that waited for it, not from where it is listed."""
    if nodes[child].role != "InitPlan":
        return
    waiting = list(dict.fromkeys(_waiting(nodes, parent, child)))
    if not waiting or parent in waiting:
        return
    own[parent] += seconds[child]
    owed = seconds[child]
    for at in waiting:  # the first to ask runs it; several that read a CTE run it by turns
        part = min(owed, max(own[at], 0.0))
        own[at] -= part
        owed -= part


def _waiting(nodes: list[PlanNode], parent: int, child: int) -> Iterator[int]:
    """The nodes that ran what `parent` lists as its InitPlan `child`: a Gather does it for its workers."""
    inside = range(child, _end(nodes, child))
    gather = range(0)
    for at in range(parent, _end(nodes, parent)):
        if at in inside:
            continue
        if at not in gather and nodes[at].kind.startswith("Gather") and at != parent:
            gather = range(at, _end(nodes, at))
        if _waits(nodes[at], nodes[child]):
            yield gather.start if at in gather else at


def _end(nodes: list[PlanNode], at: int) -> int:
    """Just past the last node below `at`."""
    return at + sum(1 for _ in nodes[at].walk())


def _waits(node: PlanNode, initplan: PlanNode) -> bool:
    """Whether `node` uses the result of `initplan`."""
    if initplan.subplan.startswith("CTE "):
        return node.reads == initplan.subplan.removeprefix("CTE ")
    returned = _RETURNS.search(initplan.subplan)
    if returned:  # up to PostgreSQL 16: $0, $1
        names = [rf"{re.escape(each.strip())}(?!\d)" for each in returned[1].split(",")]
    else:
        names = [rf"{re.escape(initplan.subplan)}\b"]
    return any(re.search(name, text) for name in names for _, text in node.details)
