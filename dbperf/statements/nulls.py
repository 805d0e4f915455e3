"""Which conditions no row of nulls meets: under one of them, an outer join is an inner one.

A row is kept where its condition is true. A strict operator gives null for a null, and null is not true,
nor is its negation (https://www.postgresql.org/docs/current/functions-logical.html).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from dbperf.statements.findings import bared

Nullable = Callable[[exp.Column], bool]

_STRICT = (
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
    *(exp.Like, exp.ILike, exp.SimilarTo, exp.RegexpLike, exp.RegexpILike),
    *(exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps),
)


def rejects(node: exp.Expr, nullable: Nullable) -> bool:
    """Whether a condition is never true of a row whose `nullable` columns are all null."""
    node = bared(node)
    match node:
        case exp.And():
            return rejects(node.this, nullable) or rejects(node.expression, nullable)
        case exp.Or():
            return rejects(node.this, nullable) and rejects(node.expression, nullable)
        case exp.Not():
            return _negation_rejects(bared(node.this), nullable)
        case exp.Is():
            wants_null = isinstance(node.expression, exp.Null) and not node.args.get("negate")
            return not wants_null and _is_bare(node.this, nullable)
        case exp.In():
            return _is_bare(node.this, nullable)
    return _is_strict(node, nullable)


def _negation_rejects(node: exp.Expr, nullable: Nullable) -> bool:
    match node:
        case exp.And():
            sides = (bared(node.this), bared(node.expression))
            return all(_negation_rejects(each, nullable) for each in sides)
        case exp.Or():
            sides = (bared(node.this), bared(node.expression))
            return any(_negation_rejects(each, nullable) for each in sides)
        case exp.Is():
            return isinstance(node.expression, exp.Null) and _is_bare(node.this, nullable)
        case exp.In():  # null is not in an empty list, but a query may give one
            return bool(node.expressions) and _is_bare(node.this, nullable)
    return not node.find(exp.Any) and _is_strict(node, nullable)


def _is_strict(node: exp.Expr, nullable: Nullable) -> bool:
    """Whether it is null where the columns are."""
    if isinstance(node, exp.Escape):
        node = node.this
    if isinstance(node, exp.Column | exp.Between):
        return _is_bare(node.this if isinstance(node, exp.Between) else node, nullable)
    if not isinstance(node, _STRICT) or is_all(node.expression):
        return False
    return _is_bare(node.this, nullable) or _is_bare(node.expression, nullable)


def is_all(node: object) -> bool:
    """Whether it is ALL (…), which is true of an empty array or query whatever it is compared with."""
    return isinstance(node, exp.All) or (isinstance(node, exp.Anonymous) and node.name.lower() == "all")


def _is_bare(node: exp.Expr, nullable: Nullable) -> bool:
    node = bared(node)
    return isinstance(node, exp.Column) and nullable(node)
