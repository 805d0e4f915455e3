"""The conditions of WHERE and HAVING: by which operator, with how many values, of which type."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from dbperf.model.facts import ColumnRef, FilterFacts, Role
from dbperf.statements.conditions import JOINED, condition, conjuncts
from dbperf.statements.findings import Context, Findings, bared, columns_in
from dbperf.statements.nulls import is_all
from dbperf.statements.selects import is_aggregate

_OPERATORS: Final[dict[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
    exp.In: "in",
    exp.Between: "between",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.SimilarTo: "similar to",
    exp.RegexpLike: "~",
    exp.RegexpILike: "~*",
    exp.Exists: "exists",
    exp.Or: "or",
    exp.And: "and",
    exp.ArrayContainsAll: "@>",
    exp.ArrayContainedBy: "<@",
    exp.ArrayOverlaps: "&&",
    exp.JSONBContains: "?",
    exp.JSONBContainsTopKey: "?",
    exp.JSONBContainsAnyTopKeys: "?|",
    exp.JSONBContainsAllTopKeys: "?&",
    exp.MatchAgainst: "@@",
}
_SYMBOLS: Final = {"~": "!~", "~*": "!~*"}
# Others are called as sqlglot writes them, without a length.
_TYPES: Final = {
    exp.DType.INT: "integer",
    exp.DType.DECIMAL: "numeric",
    exp.DType.DOUBLE: "float",
    exp.DType.FLOAT: "real",
}
_INTEGER, _BIGINT = 2**31, 2**63


def filters(node: exp.Expr, context: Context) -> None:
    """Read a WHERE clause: each condition is noted as a filter unless it joins."""
    for each in conjuncts(node):
        why_not = condition(each, context)
        if why_not != JOINED:
            _note(each, context, why_not if columns_in(each) else "")


def group_filters(node: exp.Expr, context: Context) -> None:
    """Read a HAVING clause. What it says of columns is said of groups."""
    for each in conjuncts(node):
        if _has_aggregate(each):
            context.expression(each, Role.OTHER)
            _note(each, context, "aggregate", clause="having", aggregate=True)
        else:
            why_not = condition(each, context.below(role=Role.OTHER))
            joins = why_not == JOINED
            _note(each, context, "comparison of two columns" if joins else why_not, clause="having")


def _note(
    node: exp.Expr, context: Context, why_not: str, clause: str = "where", *, aggregate: bool = False
) -> None:
    owners = [whose for column in columns_in(node) if (whose := context.owner(column))]
    items, value_type = _compared(node, context.found)
    context.found.filters.append(
        FilterFacts(
            sql=context.found.text(node),
            columns=tuple(dict.fromkeys(whose.label for whose in owners)),
            why_not=why_not,
            clause=clause,
            scope=context.frame.number,
            aggregate=aggregate,
            of=tuple(dict.fromkeys(ColumnRef(whose.table, whose.name) for whose in owners if whose.table)),
            operator=_operator(node),
            items=items,
            value_type=value_type,
        )
    )


def _has_aggregate(node: exp.Expr) -> bool:
    return any(map(is_aggregate, node.walk(prune=lambda part: isinstance(part, exp.Query | exp.Column))))


def _operator(node: exp.Expr) -> str:
    """The outermost operator, "" for a column or a call."""
    negated = False
    while True:
        negated ^= isinstance(node, exp.Not) or bool(node.args.get("negate"))
        if not isinstance(node, exp.Not | exp.Paren | exp.Escape):
            break
        node = node.this
    if isinstance(node, exp.Is):
        what = "null" if isinstance(node.expression, exp.Null) else str(node.expression).lower()
        return f"is not {what}" if negated else f"is {what}"
    written = _OPERATORS.get(type(node), "")
    if isinstance(node.args.get("expression"), exp.Any):
        written += " any"
    elif is_all(node.args.get("expression")):
        written += " all"
    return _SYMBOLS.get(written, f"not {written}".strip()) if negated else written


def _compared(node: exp.Expr, found: Findings) -> tuple[int, str]:
    """How many values an IN list or array has, and the type that what is compared to is written with."""
    while isinstance(node, exp.Not | exp.Paren | exp.Escape):
        node = node.this
    if isinstance(node, exp.In):
        return len(node.expressions), _first_type(node.expressions, found)
    if isinstance(node, exp.Between):
        return 0, _first_type([node.args["low"], node.args["high"]], found)
    if not isinstance(node, exp.Binary) or isinstance(node, exp.Connector | exp.Is):
        return 0, ""
    value = bared(node.expression if not columns_in(node.expression) else node.this)
    if columns_in(value):
        return 0, ""
    if isinstance(value, exp.Any) or is_all(value):
        value = bared(value.expressions[0] if isinstance(value, exp.Anonymous) else value.this)
        if isinstance(value, exp.Cast) and isinstance(value.this, exp.Array) and value.this.expressions:
            return len(value.this.expressions), value_type(value, found).removesuffix("[]")
        if isinstance(value, exp.Array):
            return len(value.expressions), _first_type(value.expressions, found)
        return 0, value_type(value, found).removesuffix("[]")
    return 0, value_type(value, found)


def _first_type(values: list[exp.Expr], found: Findings) -> str:
    return next(filter(None, (value_type(each, found) for each in values)), "")


def value_type(value: exp.Expr, found: Findings) -> str:
    """The type that a constant or parameter is written with, "" where it takes that of the other side."""
    value = bared(value)
    match value:
        case exp.Cast() if not isinstance(value.this, exp.Column):
            return _type_name(value.to, found)
        case exp.Neg():
            return value_type(value.this, found)
        case exp.Boolean():
            return "boolean"
        case exp.Literal() if not value.is_string:
            if not value.is_int or int(value.this) >= _BIGINT:
                return "numeric"
            return "integer" if int(value.this) < _INTEGER else "bigint"
    return ""


def _type_name(node: exp.Expr, found: Findings) -> str:
    if node.this is exp.DType.ARRAY and node.expressions:
        return _type_name(node.expressions[0], found) + "[]"
    if node.this in _TYPES:
        return _TYPES[node.this]
    return found.text(node).lower().partition("(")[0]
