"""Conditions to column roles: what WHERE and ON do with a column, and whether a B-tree could serve it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlglot import exp

from dbperf.model.facts import Role
from dbperf.statements.findings import Context, bared, columns_in, parts

JOINED: Final = "join"
"""Instead of a reason: the condition equates columns of two tables, and is no filter."""

_ROLES: dict[type[exp.Expr], Role] = {
    exp.EQ: Role.EQUALITY,
    exp.GT: Role.RANGE,
    exp.GTE: Role.RANGE,
    exp.LT: Role.RANGE,
    exp.LTE: Role.RANGE,
    exp.NEQ: Role.OTHER,
    exp.NullSafeEQ: Role.OTHER,
    exp.NullSafeNEQ: Role.OTHER,
}
_UNSERVED: dict[type[exp.Expr], str] = {
    exp.NEQ: "negation",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "negation",
}
_CONTAINMENT = (
    exp.ArrayContainsAll,
    exp.ArrayContainedBy,
    exp.ArrayOverlaps,
    exp.JSONBContains,
    exp.JSONBContainsTopKey,
    exp.JSONBContainsAnyTopKeys,
    exp.JSONBContainsAllTopKeys,
)
_OPERATORS: dict[type[exp.Expr], str] = {
    exp.ILike: "case-insensitive LIKE",
    exp.RegexpLike: "regular expression",
    exp.RegexpILike: "regular expression",
    exp.SimilarTo: "regular expression",
}


def conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that AND connects, in the order of the text."""
    waiting = [node]
    while waiting:
        each = bared(waiting.pop())
        if isinstance(each, exp.And):
            waiting += each.expression, each.this
        else:
            yield each


def condition(node: exp.Expr, context: Context) -> str:
    """Note what a condition does with its columns; says why no B-tree serves it, "" if one can, or JOINED."""
    node = bared(node)
    if _innermost(node).args.get("negate"):  # sqlglot's IS NOT NULL and NOT LIKE
        plain = node.copy()
        _innermost(plain).set("negate", None)
        # What stands in it still stands where it did.
        plain.parent, plain.arg_key = node.parent, node.arg_key
        return _negation(plain, context)
    match node:
        case exp.And():
            return next(filter(None, [condition(each, context) for each in conjuncts(node)]), "")
        case exp.Or():
            for each in node.flatten():
                condition(each, context.below())
            return "OR"
        case exp.Not():
            return _negation(bared(node.this), context)
        case exp.Column():
            context.use(node, Role.EQUALITY, literal="true")
            return ""
        case exp.Between():
            whys = [_bound(node.this, node.args[end], Role.RANGE, context) for end in ("low", "high")]
            return whys[0]
        case exp.In():
            return _membership(node, context)
        case exp.Is():
            return _is(node, context)
        case exp.Escape() | exp.Like() | exp.ILike():
            return _like(node, context)
    if type(node) in _ROLES:
        return _comparison(node, bared(node.this), bared(node.expression), context)
    return _other(node, context)


def _other(node: exp.Expr, context: Context) -> str:
    operator = _OPERATORS.get(type(node))
    contains = Role.CONTAINMENT if isinstance(node, _CONTAINMENT) else Role.OTHER
    role = Role.LIKE if isinstance(node, exp.ILike) else contains
    if isinstance(node, exp.Binary) and not isinstance(node, exp.Connector):
        for column, value in ((node.this, node.expression), (node.expression, node.this)):
            if isinstance(bared(column), exp.Column) and not columns_in(value):
                _bound(column, value, role, context)
                return operator or "operator that no B-tree serves"
    context.expression(node, role)
    return operator or reason(node)


def _innermost(node: exp.Expr) -> exp.Expr:
    """Of LIKE … ESCAPE the LIKE."""
    return node.this if isinstance(node, exp.Escape) else node


def _negation(node: exp.Expr, context: Context) -> str:
    if isinstance(node, exp.Column):
        context.use(node, Role.EQUALITY, literal="false")
        return ""
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        context.expression(node.this, Role.OTHER)
        return "" if isinstance(bared(node.this), exp.Column) else reason(node.this)
    condition(node, context.below(role=Role.OTHER))
    return "negation"


def _is(node: exp.Is, context: Context) -> str:
    side = bared(node.this)
    if isinstance(node.expression, exp.Null):
        context.expression(side, Role.IS_NULL)
    elif isinstance(node.expression, exp.Boolean):
        context.expression(side, Role.EQUALITY, literal=str(node.expression.this).lower())
    else:
        return _other(node, context)
    return "" if isinstance(side, exp.Column) else reason(side)


def _comparison(node: exp.Expr, left: exp.Expr, right: exp.Expr, context: Context) -> str:
    if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        pairs = list(zip(left.expressions, right.expressions, strict=False))
        return _first(_comparison(node, bared(one), bared(other), context) for one, other in pairs)
    if isinstance(right, exp.Any) and columns_in(left) and not columns_in(right):
        if not isinstance(node, exp.EQ):
            _bound(left, right, Role.OTHER, context)
            return "comparison with ANY"
        return _in(left, bared(right.this), context)
    lefts, rights = columns_in(left), columns_in(right)
    if lefts and rights:
        return _between_columns(node, lefts, rights, context)
    role = _ROLES[type(node)]
    if isinstance(right, exp.Any) and rights:
        _bound(right.this, left, Role.OTHER, context)
        return "array column"
    column, value = (left, right) if lefts or not rights else (right, left)
    why = _bound(column, value, role, context)
    return _UNSERVED.get(type(node)) or why


def _between_columns(
    node: exp.Expr, lefts: list[exp.Column], rights: list[exp.Column], context: Context
) -> str:
    left, right = bared(node.this), bared(node.expression)
    one, other = context.owner(lefts[0]), context.owner(rights[0])
    joins = (
        isinstance(node, exp.EQ) and one and other and one.label.split(".")[0] != other.label.split(".")[0]
    )
    role = Role.JOIN if joins else Role.OTHER
    context.expression(left, role, other=other.label if other else "")
    context.expression(right, role, other=one.label if one else "")
    if joins and one and other:
        bare = isinstance(left, exp.Column) and isinstance(right, exp.Column)
        if bare and context.pairs is not None:
            context.pairs.append((one, other))
        return JOINED
    return "comparison of two columns"


def _membership(node: exp.In, context: Context) -> str:
    side = bared(node.this)
    members = node.args.get("query") or node.args.get("unnest") or node.args.get("field")
    rows = node.expressions
    if members is None and isinstance(side, exp.Tuple) and rows and isinstance(rows[0], exp.Tuple):
        pairs = zip(side.expressions, rows[0].expressions, strict=False)
        return _first([_bound(column, value, Role.IN, context) for column, value in pairs])
    if members is not None:
        return _in(side, members, context)
    why = _bound(side, rows[0], Role.IN, context) if rows else ""
    for each in rows[1:]:
        context.expression(each, Role.OTHER)
    return why


def _in(side: exp.Expr, members: exp.Expr, context: Context) -> str:
    if not isinstance(members, exp.Query):
        return _bound(side, members, Role.IN, context)
    inner = context.query(members)
    columns = side.expressions if isinstance(side, exp.Tuple) else [side]
    outputs = [bared(each) for each in inner.output.values()] if inner else []
    whys: list[str] = []
    for at, column in enumerate(map(bared, columns)):
        output = outputs[at] if len(outputs) == len(columns) else None
        if inner and isinstance(column, exp.Column) and isinstance(output, exp.Column):
            _semi_join(column, output, context, Context(context.found, inner))
            whys.append(JOINED)
        else:
            whys.append(_bound(column, exp.null(), Role.IN, context))
    return _first(whys)


def _semi_join(column: exp.Column, output: exp.Column, outside: Context, inside: Context) -> None:
    one, other = outside.owner(column), inside.owner(output)
    if one:
        outside.note(one, Role.JOIN, other=other.label if other else "")
    if other:
        inside.note(other, outside.role or Role.JOIN, other=one.label if one else "")


def _like(node: exp.Expr, context: Context) -> str:
    like = node.this if isinstance(node, exp.Escape) else node
    if not isinstance(like, exp.Like):
        return _other(like, context)
    pattern = bared(like.expression)
    if isinstance(pattern, exp.Any | exp.Tuple):
        _bound(like.this, pattern, Role.LIKE, context)
        return "LIKE with several patterns"
    value = pattern if isinstance(pattern, exp.Literal) else _first_parameter(pattern)
    role = _pattern_role(pattern)
    why = _bound(like.this, value, role, context)
    return why or ("" if role is Role.LIKE_PREFIX else "leading wildcard")


def _pattern_role(pattern: exp.Expr) -> Role:
    """What the constant ends of a pattern say; a parameter in their place is taken for plain text."""
    start, end = _edge(pattern, 0), _edge(pattern, -1)
    if start[:1] not in {"%", "_"}:
        return Role.LIKE_PREFIX
    if start[:1] == "_" or (isinstance(pattern, exp.Literal) and not start.strip("%")):
        return Role.LIKE
    return Role.LIKE_INFIX if end.endswith("%") and not end.endswith("\\%") else Role.LIKE_SUFFIX


def _edge(pattern: exp.Expr, place: int) -> str:
    """The constant that a pattern starts (0) or ends (-1) with, "" if it is none."""
    while isinstance(pattern, exp.DPipe | exp.Concat | exp.Paren | exp.Cast):
        if isinstance(pattern, exp.Concat):
            pattern = pattern.expressions[place]
        else:
            pattern = pattern.expression if place and isinstance(pattern, exp.DPipe) else pattern.this
    return str(pattern.this) if isinstance(pattern, exp.Literal) else ""


def _first_parameter(node: exp.Expr) -> exp.Expr:
    return node.find(exp.Parameter, exp.Placeholder) or node


def _bound(column: exp.Expr, value: exp.Expr, role: Role, context: Context) -> str:
    """Note that `column` is compared with `value`, which has no column of this query."""
    side = bared(column)
    parameter, literal = binding(value)
    context.expression(side, role, parameter=parameter, literal=literal)
    for part in parts(value):
        if not isinstance(part, exp.Column):
            context.query(part)
    return "" if isinstance(side, exp.Column) or not columns_in(side) else reason(side)


def binding(value: exp.Expr) -> tuple[int | None, str | None]:
    """The `$n`, or the text of the constant, that a value is; for a list, the first of it."""
    while True:
        match value:
            case exp.Paren() | exp.Cast() | exp.Any():
                value = value.this
            case exp.Array() | exp.Tuple() if value.expressions:
                value = value.expressions[0]
            case exp.Anonymous() if value.name.lower() in {"all", "any", "some"} and value.expressions:
                value = value.expressions[0]
            case _:
                break
    match value:
        case exp.Parameter() if value.name.isdecimal():
            return int(value.name), None
        case exp.Placeholder() if value.name[:1] == "p" and value.name[1:].isdecimal():
            return int(value.name[1:]), None
        case exp.Literal():
            return None, str(value.this)
        case exp.Boolean():
            return None, str(value.this).lower()
        case exp.Neg() if isinstance(value.this, exp.Literal):
            return None, f"-{value.this.this}"
    return None, None


def reason(node: exp.Expr) -> str:
    """Why no index on the bare column serves a condition on this expression around it."""
    node = bared(node)
    if isinstance(node, exp.Cast):
        # sqlglot makes casts of some calls; those carry the position of a name
        return "function on the column" if "start" in node.meta else "type cast on the column"
    if isinstance(node, exp.Collate):
        return "collation on the column"
    if isinstance(node, exp.AtTimeZone) or (
        isinstance(node, exp.Func) and not isinstance(node, exp.Binary | exp.Case)
    ):
        return "function on the column"
    return "expression on the column"


def _first(whys: Iterable[str]) -> str:
    found = list(whys)
    return JOINED if JOINED in found else next(filter(None, found), "")
