"""A plan as a tree for a person at a terminal, and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.text import Text

from dbperf.model.explained import Explained
from dbperf.model.plan import Plan, PlanNode
from dbperf.report.format import cost, duration, plural
from dbperf.report.layout import LABEL, aligned, folded, one_line, paragraph
from dbperf.report.words import complexity, scored

SCHEMA_VERSION: Final = 1
MISJUDGED = 10.0
"""Rows that are so many times more or fewer than estimated are pointed out."""

_GUIDES = ("├─ ", "└─ ", "│  ", "   ")
_NARROW_GUIDES = ("├ ", "└ ", "│ ", "  ")
_LEAST = 28
"""Cells that a node's own text gets, however deep it is; less on a narrow terminal."""
_SQL_LINES = 6
# What stops reading a child once it has what it wants: a subplan may be one of EXISTS.
_STOPS = frozenset({"Limit", "Merge Join"})
_SUBPLANS = frozenset({"InitPlan", "SubPlan"})
_EARLY = re.compile(r"\b(?:Semi|Anti)\b")
_EXPENSIVE = "►"


def lines(explained: Explained, width: int) -> Iterator[Text]:
    """The statement, how it was planned, its plan and the totals, in lines at most `width` cells wide."""
    text = list(folded(one_line(explained.sql), width))
    for line in text[:_SQL_LINES]:
        yield Text(line, "bold")
    if len(text) > _SQL_LINES:
        yield Text(f"and {plural(len(text) - _SQL_LINES, 'more line')}", LABEL)
    yield from paragraph(planned_with(explained), width, style=LABEL)
    if explained.untimed:
        yield from paragraph(f"not executed: {explained.untimed}", width, style=LABEL)
    yield from paragraph(complexity(explained.complexity), width, style=LABEL)
    yield Text()
    yield from _tree(explained, width)
    if told := totals(explained):
        yield Text()
        yield from paragraph(told, width)


def planned_with(explained: Explained) -> str:
    """With which values of its parameters the statement was planned."""
    if explained.plan.generic:
        return "generic plan: no values are known for its parameters"
    if not explained.values:
        return "planned as given: it has no parameters"
    values = ", ".join(f"${number} = {value!r}" for number, value in enumerate(explained.values, start=1))
    origin = "as given" if explained.parameters == "captured" else "from the table statistics"
    which = "the costliest" if explained.plan.cost else "one"
    of = f", {which} of {explained.sets} sets" if explained.sets > 1 else ""
    return f"planned with {values} ({origin}{of})"


def totals(explained: Explained) -> str:
    """What the whole plan takes; estimated cost and measured time are told apart."""
    plan, root = explained.plan, explained.plan.root
    parts = [f"planner cost {cost(plan.cost)} (estimate, not time)"] if plan.cost else []
    if plan.seconds is not None:
        parts.append(f"executed in {duration(plan.seconds)}")
        parts.append(f"planned in {duration(plan.planning_seconds or 0.0)}")
        parts.append(_counted(root.actual_rows or 0.0))
    elif plan.cost:
        parts.append(f"{_counted(root.rows)} expected")
    if marked := _most_expensive(explained.shares):
        of = "time" if plan.seconds is not None else "cost"
        parts.append(f"{_EXPENSIVE} takes the most {of}, {explained.shares[marked - 1]:.0%}")
    return " · ".join(parts)


def render_json(target: str, found: Sequence[Explained]) -> str:
    """The plans as a JSON document in ASCII with a final newline.

    `schema_version`, `target` (host/port/name or a file) and `statements[]`: each with `sql`, `line`,
    `parameters` (captured, statistics, generic, none), `values`, `cost` (planner units), `seconds` and
    `planning_seconds` (null unless executed), `untimed` (why not executed, if that was asked for),
    `complexity` (`score` and `parts`; null where its text was not parsed) and
    `plan`, a tree of nodes: `kind`, `title`, `role`, `subplan`, `relation`, `alias`, `index`,
    `share` (0 to 1, of the time if executed, else of the cost; null where there is no cost), `startup_cost`,
    `total_cost`, `rows` (estimated, for one loop), `actual_rows`, `actual_seconds`, `removed_rows` (for one
    loop), `loops`, `misjudged` (times more, negative for fewer, than estimated; null below 10), `workers`,
    `details` (label and text) and `children[]`.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "statements": [_statement(each) for each in found],
    }
    return json.dumps(document, indent=2, default=str) + "\n"


def _statement(explained: Explained) -> dict[str, Any]:
    plan = explained.plan
    shares = iter(explained.shares)
    cuts = (cut for _, cut in _with_cuts(plan.root))
    return {
        "sql": explained.sql,
        "line": explained.line,
        "parameters": explained.parameters,
        "values": explained.values,
        "cost": plan.cost,
        "seconds": plan.seconds,
        "planning_seconds": plan.planning_seconds,
        "untimed": explained.untimed,
        "complexity": scored(explained.complexity),
        "plan": _node(plan.root, shares, cuts),
    }


def _node(node: PlanNode, shares: Iterator[float], cuts: Iterator[bool]) -> dict[str, Any]:
    return {
        "kind": node.kind,
        "title": node.title,
        "role": node.role,
        "subplan": node.subplan,
        "relation": node.relation,
        "alias": node.alias,
        "index": node.index,
        "share": next(shares, None),
        "startup_cost": node.startup_cost,
        "total_cost": node.total_cost,
        "rows": node.rows,
        "actual_rows": node.actual_rows,
        "actual_seconds": node.actual_seconds,
        "removed_rows": node.removed_rows,
        "loops": node.loops,
        "misjudged": misjudged(node, cut_short=next(cuts)),
        "workers": node.workers,
        "details": dict(node.details),
        "children": [_node(child, shares, cuts) for child in node.children],
    }


def misjudged(node: PlanNode, *, cut_short: bool) -> float | None:
    """How many times more rows came than estimated, negative for fewer; None where it is less than tenfold.

    With `cut_short`, fewer rows say nothing. Less than one row counts as one, as the planner has it.
    """
    if node.actual_rows is None or not node.loops:
        return None
    actual, expected = max(node.actual_rows, 1.0), max(node.rows, 1.0)
    if max(actual / expected, expected / actual) < MISJUDGED:
        return None
    if actual > expected:
        return actual / expected
    return None if cut_short else -expected / actual


def _with_cuts(node: PlanNode, cut_short: bool = False) -> Iterator[tuple[PlanNode, bool]]:
    """Each node, parents first, and whether it may have been stopped before it gave all its rows."""
    yield node, cut_short
    for child in node.children:
        stops = cut_short or node.kind in _STOPS or child.role in _SUBPLANS or _EARLY.search(node.title)
        yield from _with_cuts(child, bool(stops) and not node.needs_all(child))


def _most_expensive(shares: Sequence[float]) -> int:
    """The 1-based place of the node with the largest share; 0 where a plan is of one node or has no cost."""
    if len(shares) < 2 or not any(shares):
        return 0
    return max(range(len(shares)), key=lambda at: shares[at]) + 1


def _tree(explained: Explained, width: int) -> Iterator[Text]:
    plan = explained.plan
    nodes = list(_with_cuts(plan.root))
    columns = [_cells(node, share, plan) for (node, _), share in zip(nodes, _shares(explained), strict=True)]
    header, *rows = aligned([_head(plan), *columns])
    left = cell_len(header) + 2 if header else 0
    if header:
        yield Text(f"  {header}", LABEL)
        left += 2
    marked = _most_expensive(explained.shares)
    inner = width - left
    least = min(_LEAST, inner * 2 // 3)
    places = _placed(plan.root, _guides(plan.root, inner - least))
    for number, (row, (node, cut), (first, rest)) in enumerate(
        zip(rows, nodes, places, strict=True), start=1
    ):
        style = "bold red" if number == marked else ""
        sign = f"{_EXPENSIVE if number == marked else ' '} " if header else ""
        first, rest = _within(first, inner - least), _within(f"{rest}  ", inner - least)
        gap = "  " if header else ""
        title, *more = folded(_title(node), inner - max(cell_len(first), cell_len(rest)))
        yield Text.assemble((f"{sign}{row}", style), gap, (first, LABEL), (title, style))
        for line in more:
            yield Text.assemble(" " * left, (rest, LABEL), (line, style))
        for text, color in _below(node, cut_short=cut):
            for line in folded(one_line(text), inner - cell_len(rest)):
                yield Text.assemble(" " * left, (rest, LABEL), (line, color))


def _within(guides: str, width: int) -> str:
    """Guides within `width` cells: of a node that is deeper, the nearest."""
    return guides if len(guides) <= width else f"…{guides[len(guides) - width + 1 :]}"


def _shares(explained: Explained) -> Sequence[float | None]:
    return explained.shares or [None for _ in explained.plan.root.walk()]


def _head(plan: Plan) -> tuple[str, ...]:
    if plan.seconds is not None:
        return "time", "share", "expected", "rows", "loops"
    return ("cost", "rows") if plan.cost else ()


def _cells(node: PlanNode, share: float | None, plan: Plan) -> tuple[str, ...]:
    part = f"{share or 0.0:.0%}"
    if plan.seconds is None:
        return (part, _rows(node.rows)) if plan.cost else ()
    if not node.loops:
        return "-", "-", _rows(node.rows), "-", "never"
    own = duration((share or 0.0) * plan.seconds)
    return own, part, _rows(node.rows), _rows(node.actual_rows or 0.0), _rows(node.loops)


def _rows(number: float) -> str:
    for factor, unit in ((1e9, "G"), (1e6, "M")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{math.floor(number + 0.5):,}"


def _counted(rows: float) -> str:
    return f"{_rows(rows)} {'row' if _rows(rows) == '1' else 'rows'}"


def _title(node: PlanNode) -> str:
    text = node.title or node.kind
    if node.index:
        text += f" using {node.index}"
    if name := node.relation or node.reads:
        text += f" on {name}"
    if node.alias and node.alias != name:
        text += f" {node.alias}"
    if node.workers is not None:
        text += f", {plural(node.workers, 'worker')}"
    return one_line(f"{node.subplan}: {text}" if node.subplan else text)


def _below(node: PlanNode, *, cut_short: bool) -> Iterator[tuple[str, str]]:
    """What is said below a node, with its style."""
    for label, text in node.details or _conditions(node):
        yield f"{label}: {text}", LABEL
    if node.removed_rows and node.loops:
        each = f", {_rows(node.removed_rows)} in each of {_rows(node.loops)} loops" if node.loops > 1 else ""
        yield f"removed {_counted(node.removed_rows * node.loops)}{each}", LABEL
    if (factor := misjudged(node, cut_short=cut_short)) is not None:
        more = f"{factor:,.0f}x more" if factor > 0 else f"{-factor:,.0f}x fewer"
        yield f"{more} rows than expected", "yellow"


def _conditions(node: PlanNode) -> Iterator[tuple[str, str]]:
    if node.condition:
        yield "Condition", node.condition


def _guides(root: PlanNode, width: int) -> tuple[str, str, str, str]:
    return _GUIDES if (_depth(root) - 1) * len(_GUIDES[0]) <= width else _NARROW_GUIDES


def _depth(node: PlanNode) -> int:
    return 1 + max((_depth(child) for child in node.children), default=0)


def _placed(
    node: PlanNode, guides: tuple[str, str, str, str], before: str = "", here: str = "", last: bool = True
) -> Iterator[tuple[str, str]]:
    """For each node, parents first, what stands before its line, and before the lines about it."""
    branch, corner, through, blank = guides
    below = before + (("" if not here else blank) if last else through)
    hanging = through if node.children else ""
    yield before + here, below + hanging
    for number, child in enumerate(node.children, start=1):
        ends = number == len(node.children)
        yield from _placed(child, guides, below, corner if ends else branch, ends)
