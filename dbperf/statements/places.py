"""Where in a statement a subquery stands: under which operator, in which clause, against what."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

_STATEMENTS = (exp.Select, exp.SetOperation, exp.Insert, exp.Update, exp.Delete, exp.Merge)
_CLAUSES: Final = {
    "expressions": "select",
    "distinct": "select",
    "windows": "select",
    "from_": "from",
    "joins": "from",
    "using": "from",
    "on": "from",
    "conflict": "set",
    "whens": "set",
    "expression": "values",
}
_COMPARISONS: Final[dict[type[exp.Expr], tuple[str, str]]] = {
    exp.EQ: ("=", "="),
    exp.NEQ: ("<>", "<>"),
    exp.GT: (">", "<"),
    exp.GTE: (">=", "<="),
    exp.LT: ("<", ">"),
    exp.LTE: ("<=", ">="),
}
"""The operator as it reads from its left side, and from its right one."""


COMPARED: Final = frozenset({"scalar", "in", "not-in", "any", "all"})
"""The kinds that have another side."""


def kind_of(query: exp.Expr) -> str:
    """What a query in an expression is to it: exists, not-exists, in, not-in, any, all, array or scalar."""
    node = _wrapped(query)
    around = node.parent
    if isinstance(around, exp.Exists) or (isinstance(around, exp.In) and node.arg_key == "query"):
        kind = "exists" if isinstance(around, exp.Exists) else "in"
        return f"not-{kind}" if isinstance(_wrapped(around).parent, exp.Not) else kind
    for types, kind in ((exp.Any, "any"), (exp.All, "all"), (exp.Array, "array")):
        if isinstance(around, types):
            return kind
    return "scalar"


def clause_of(query: exp.Expr) -> str:
    """The clause of the statement around it: select, from, where, having, order, set …"""
    node = query
    while node.parent is not None and not isinstance(node.parent, _STATEMENTS):
        node = node.parent
    key = str(node.arg_key)
    if key == "expressions" and isinstance(node.parent, exp.Update):
        return "set"
    return _CLAUSES.get(key, key)


def compared_with(query: exp.Expr) -> tuple[str, exp.Expr] | None:
    """The operator, as it reads from the query on, and the other side; the operator of IN is ""."""
    node = _wrapped(query)
    if isinstance(node.parent, exp.In) and node.arg_key == "query":
        return "", node.parent.this
    if isinstance(node.parent, exp.Any | exp.All):
        node = node.parent
    around = node.parent
    if around is None or type(around) not in _COMPARISONS or isinstance(around.parent, exp.Update):
        return None
    from_left, from_right = _COMPARISONS[type(around)]
    return (from_left, around.expression) if node.arg_key == "this" else (from_right, around.this)


def _wrapped(node: exp.Expr) -> exp.Expr:
    """The node with the parentheses around it."""
    while isinstance(node.parent, exp.Paren | exp.Subquery):
        node = node.parent
    return node
