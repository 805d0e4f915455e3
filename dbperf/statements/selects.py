"""What one SELECT puts out, and how it groups, sorts and limits that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from dbperf.model.facts import Bound, ColumnRef, SelectFacts
from dbperf.statements.conditions import binding
from dbperf.statements.findings import Context, Findings, bared
from dbperf.statements.lexer import words
from dbperf.statements.scopes import folded

# Those that sqlglot has no class for, or none below AggFunc.
_AGGREGATES = words(
    "bit_xor every json_agg_strict json_arrayagg json_group_array json_group_object json_objectagg jsonb_agg "
    "jsonb_agg_strict jsonb_group_array jsonb_group_object jsonb_object_agg range_agg range_intersect_agg "
    "total xmlagg"
)
_POSITIONLESS = {"GroupConcat": "string_agg", "JSONArrayAgg": "json_agg"}


def note_select(here: Context, node: exp.Expr, outputs: Iterable[exp.Expr]) -> SelectFacts:
    """Note what `node`, whose FROM and clauses are read already, does as a whole."""
    values = [bared(each.unalias()) for each in outputs]
    order, group = node.args.get("order"), node.args.get("group")
    distinct = node.args.get("distinct") if isinstance(node, exp.Select) else None
    called, windows = calls(here.found, [*values, *filter(None, (node.args.get("having"), order, distinct))])
    noted = here.found.selects[here.frame.number] = SelectFacts(
        scope=here.frame.number,
        tables=tuple(each.table for each in here.frame.sources.values() if each.table),
        stars=tuple(_stars(values)),
        output=tuple(_reference(here, each) for each in values),
        constants=tuple(
            (place, here.found.text(each)) for place, each in enumerate(values) if _is_constant(each)
        ),
        distinct=distinct is not None,
        ordered=tuple(here.found.text(term.this) for term in order.expressions) if order else (),
        grouped=tuple(here.found.text(term) for term in group.iter_expressions()) if group else (),
        aggregates=tuple(called),
        windows=windows,
        limit=_bound(node.args.get("limit")),
        offset=_bound(node.args.get("offset")),
        locks=bool(node.args.get("locks")),
    )
    return noted


def _stars(values: Iterable[exp.Expr]) -> Iterator[str]:
    for each in values:
        if each.is_star:
            yield folded(each.args.get("table")) or "*"


def _reference(here: Context, value: exp.Expr) -> ColumnRef | None:
    if not isinstance(value, exp.Column) or value.is_star:
        return None
    whose = here.owner(value)
    return ColumnRef(whose.table, whose.name) if whose else None


def _is_constant(value: exp.Expr) -> bool:
    while isinstance(value, exp.Paren | exp.Cast | exp.Neg):
        value = value.this
    return isinstance(value, exp.Literal | exp.Boolean | exp.Null)


def calls(found: Findings, nodes: Iterable[exp.Expr]) -> tuple[dict[str, None], int]:
    """The aggregates called, and how many calls have OVER; those of nested queries do not count."""
    names: dict[str, None] = {}
    windows = 0
    for node in nodes:
        if isinstance(node, exp.Column):
            continue
        for each in node.walk(prune=lambda part: isinstance(part, exp.Query | exp.Column)):
            windows += isinstance(each, exp.Window)
            if is_aggregate(each):
                names[_name(found, each)] = None
    return names, windows


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node calls an aggregate function, and not as a window function."""
    if not isinstance(node, exp.Func):
        return False
    known = isinstance(node, exp.AggFunc | exp.JSONArrayAgg | exp.JSONObjectAgg)
    if not known and not (isinstance(node, exp.Anonymous) and node.name.lower() in _AGGREGATES):
        return False
    around = node.parent
    while isinstance(around, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
        around = around.parent
    return not isinstance(around, exp.Window)


def _name(found: Findings, call: exp.Expr) -> str:
    if (start := call.meta.get("start")) is not None:
        return found.source[start : call.meta["end"] + 1].lower()
    return _POSITIONLESS.get(type(call).__name__, "")


def _bound(node: exp.Expr | None) -> Bound | None:
    if node is None:
        return None
    value = node.args.get("count") if isinstance(node, exp.Fetch) else node.expression
    if isinstance(value, exp.Var | exp.Null):  # LIMIT ALL
        return None
    parameter, literal = binding(value) if value else (None, "1")  # FETCH FIRST ROW ONLY
    return Bound(int(literal) if literal and literal.isdecimal() else None, parameter)
