"""EXPLAIN QUERY PLAN as it is printed by SQLite 3.31 and later, as a plan tree.

Its words change from release to release; a line that reads no table is a node that says it as it is
(https://www.sqlite.org/eqp.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dbperf.model.plan import PlanNode

Row = tuple[int, int, int, Any]
"""A row as SQLite returns it: number, number of the parent, unused, text."""


def plan_nodes(rows: Sequence[Row], names: Mapping[str, str]) -> tuple[PlanNode, ...]:
    """The top nodes of a plan. It calls a table by its alias; `names` are tables by alias, in lower case."""
    return _children(0, rows, names)


def _children(parent: int, rows: Sequence[Row], names: Mapping[str, str]) -> tuple[PlanNode, ...]:
    return tuple(
        _node(_text(detail), _children(number, rows, names), names)
        for number, above, _, detail in rows
        if above == parent
    )


# SCAN [TABLE] name [AS alias] [USING …] [(condition)]: TABLE and AS until 3.35.
_ACCESS = re.compile(
    r"(?P<verb>SCAN|SEARCH) (?:TABLE |SUBQUERY )?(?P<name>.+?)(?: AS (?P<alias>.+?))?"
    r"(?: VIRTUAL TABLE INDEX .*?)?(?: USING (?P<using>.+?))?(?: \((?P<condition>.+)\))?"
    r"(?: (?:LEFT|RIGHT)-JOIN| EXISTS)*"
)
_CONSTANT = re.compile(r"SCAN (?:\d+ )?CONSTANT ROWS?")


def _node(detail: str, children: tuple[PlanNode, ...], names: Mapping[str, str]) -> PlanNode:
    found = None if _CONSTANT.fullmatch(detail) else _ACCESS.fullmatch(detail)
    if found is None:
        return PlanNode(kind=detail, children=children)
    name = found["name"].removeprefix("main.")
    using = found["using"] or ""
    index = using.removeprefix("COVERING ")
    verb = found["verb"].capitalize()
    return PlanNode(
        kind=verb if index == using else f"Covering {verb}",
        relation=names.get(name.lower(), name),
        alias=found["alias"] or name,
        index=index.removeprefix("INDEX "),
        condition=found["condition"] or "",
        children=children,
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
