"""The walk over queries: what they read, join, group and sort."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlglot import exp

from dbperf.model.facts import Role, SetOperation, TableRef
from dbperf.statements.conditions import conjuncts
from dbperf.statements.filters import filters, group_filters
from dbperf.statements.findings import Context, Findings, Pair, bared
from dbperf.statements.joins import join, settle
from dbperf.statements.scopes import Frame, Source, columns_of, folded
from dbperf.statements.selects import note_select

Ctes = dict[str, Frame | None]


def query(found: Findings, node: exp.Expr, parent: Frame | None, ctes: Ctes) -> Frame | None:
    """Visit a query; `parent` is the frame whose columns it may use. Gives its frame, None for a UNION."""
    while isinstance(node, exp.Subquery) and not node.args.get("with_"):
        node = node.this
    if isinstance(node, exp.Select):
        return _select(found, node, parent, ctes)
    frame = found.frame(parent, ctes)
    common_tables(found, node, frame)
    if isinstance(node, exp.SetOperation):
        _set_operation(found, node, frame)
    elif isinstance(node, exp.Subquery):
        return query(found, node.this, parent, frame.ctes)
    else:
        Context(found, frame).expression(node, Role.SELECTED)
    return None


def _set_operation(found: Findings, node: exp.SetOperation, frame: Frame) -> None:
    first: exp.Expr = node
    operations: list[exp.SetOperation] = []
    # A chain of thousands is no deeper than one.
    while isinstance(first, exp.SetOperation) and not (operations and first.args.get("with_")):
        operations.append(first)
        first = first.this
    start = left = found.frames
    found.within[left] = frame.number
    query(found, first, frame.parent, frame.ctes)
    for each in reversed(operations):
        right = found.frames
        found.within[right] = frame.number
        query(found, each.expression, frame.parent, frame.ctes)
        kind = type(each).__name__.lower() + ("" if each.args.get("distinct") else " all")
        found.set_operations.append(SetOperation(kind, left, right))
        left = right
    noted = note_select(Context(found, frame), node, ())
    found.selects[frame.number] = replace(noted, output=found.selects[start].output)


def common_tables(found: Findings, node: exp.Expr, frame: Frame) -> None:
    """Visit the WITH clause of a statement, and let `frame` see its names."""
    with_ = node.args.get("with_")
    for cte in with_.expressions if with_ else ():
        name = folded(cte.args["alias"].this)
        found.ctes.append(name)
        frame.ctes[name] = None  # a recursive one sees itself
        frame.ctes[name] = found.nested(cte.this, frame, frame.parent, "cte", "with")


def _select(found: Findings, node: exp.Select, parent: Frame | None, ctes: Ctes) -> Frame:
    frame = found.frame(parent, ctes)
    common_tables(found, node, frame)
    here = Context(found, frame)
    from_ = node.args.get("from_")
    joined = sources(here, from_.this) if from_ else []
    joined += [each for lateral in node.args.get("laterals") or () for each in sources(here, lateral)]
    joining = _joining(here, node)
    _select_list(here, node)
    _join(here, joined, joining)
    where(here, node.args.get("where"))
    _grouping(here, node)
    if having := node.args.get("having"):
        group_filters(having.this, here)
    if qualify := node.args.get("qualify"):
        here.expression(qualify.this, Role.OTHER)
    for window in node.args.get("windows") or ():
        here.expression(window, Role.OTHER)
    if order := node.args.get("order"):
        ordering(here, order.expressions)
    noted = note_select(here, node, node.expressions)
    opaque = ("group", "having", "distinct", "limit", "offset", "qualify")
    frame.transparent = not any(node.args.get(clause) for clause in opaque) and not noted.windows
    return frame


def _select_list(here: Context, node: exp.Select) -> None:
    for each in node.expressions:
        value = each.unalias()
        if value.is_star:
            here.frame.output["*"] = value
            continue
        name = folded(each.args["alias"]) if isinstance(each, exp.Alias) else each.output_name.lower()
        if not name or name in here.frame.output:
            name = f"?column{len(here.frame.output)}?"
        here.frame.output[name] = bared(value)
        here.expression(value, Role.SELECTED)


def sources(here: Context, node: exp.Expr) -> list[Source]:
    """Make an entry of FROM known to the frame; several for a join in parentheses."""
    alias = folded(node.args["alias"].this) if node.args.get("alias") else ""
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        found = _with_joins(here, sources(here, node.this), node)
    elif isinstance(node, exp.Table):
        found = _with_joins(here, [_table(here, node, alias)], node)
    elif isinstance(node, exp.Subquery):
        inner = here.found.nested(node, here.frame, here.frame.parent, "derived", "from")
        found = [Source(alias, frame=inner)]
    elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
        inner = here.found.nested(node.this, here.frame, here.frame, "lateral", "from")
        found = [Source(alias, frame=inner)]
    else:
        here.expression(node, Role.OTHER)
        found = [Source(alias)]
    for each in found:
        here.frame.sources.setdefault(each.alias, each)
    return found


def _with_joins(here: Context, first: list[Source], node: exp.Expr) -> list[Source]:
    for each in first:
        here.frame.sources.setdefault(each.alias, each)
    return _join(here, first, _joining(here, node))


def _joining(here: Context, node: exp.Expr) -> list[tuple[exp.Join, list[Source]]]:
    return [(each, sources(here, each.this)) for each in node.args.get("joins") or ()]


def _join(here: Context, first: list[Source], joining: list[tuple[exp.Join, list[Source]]]) -> list[Source]:
    left, sources = list(first), list(first)
    for node, right in joining:
        joined = join(here, left, node, right)
        # JOIN binds tighter than a comma.
        left = list(right) if joined.implicit else left + right
        sources += right
    return sources


def _table(here: Context, node: exp.Table, alias: str) -> Source:
    if not isinstance(node.this, exp.Identifier):
        calls = [node.this, *(node.args.get("rows_from") or ())]
        for call in filter(None, calls):
            here.expression(call, Role.OTHER)
        return Source(alias or (node.this.name.lower() if node.this else ""))
    schema, name = folded(node.args.get("db")), folded(node.this)
    if not schema and name in here.frame.ctes:
        return Source(alias or name, frame=here.frame.ctes[name])
    table = TableRef(schema, name, alias)
    here.found.tables[table] = None
    return Source(alias or name, table=table)


def where(here: Context, node: exp.Expr | None) -> None:
    """The WHERE clause, and the joins of FROM, which it may be the condition of."""
    pairs: list[Pair] = []
    if node is not None:
        filters(node.this, Context(here.found, here.frame, pairs=pairs))
    if here.frame.joined:
        settle(here, list(conjuncts(node.this)) if node else [], pairs)


def _grouping(here: Context, node: exp.Select) -> None:
    distinct = node.args.get("distinct")
    if distinct:
        on = distinct.args.get("on")
        for place, each in enumerate(on.expressions if on else here.frame.output.values()):
            if not each.is_star:
                here.expression(_meant(here, each, inputs_first=False), Role.DISTINCT, position=place)
    if group := node.args.get("group"):
        for place, each in enumerate(group.iter_expressions()):
            here.expression(_meant(here, each, inputs_first=True), Role.GROUP, position=place)


def ordering(here: Context, terms: Iterable[exp.Expr]) -> None:
    """ORDER BY: each term with its direction, and its nulls where they are not put by default."""
    small = here.found.dialect.NULL_ORDERING == "nulls_are_small"
    last = here.found.dialect.NULL_ORDERING == "nulls_are_last"
    for place, term in enumerate(terms):
        descending, nulls_first = bool(term.args.get("desc")), bool(term.args.get("nulls_first"))
        usual = not last and descending is not small
        here.expression(
            _meant(here, term.this, inputs_first=False),
            Role.ORDER,
            descending=descending,
            nulls_first=None if nulls_first is usual else nulls_first,
            position=place,
        )


def _meant(here: Context, node: exp.Expr, *, inputs_first: bool) -> exp.Expr:
    """The expression that an ordinal or an output name stands for.

    A name is an output column first in ORDER BY and an input column first in GROUP BY
    (https://www.postgresql.org/docs/current/sql-select.html#SQL-GROUPBY).
    """
    term, outputs = bared(node), here.frame.output
    if isinstance(term, exp.Literal) and term.is_int:
        at = int(term.this) - 1
        return list(outputs.values())[at] if 0 <= at < len(outputs) and "*" not in outputs else node
    if isinstance(term, exp.Column) and not term.table and (output := outputs.get(folded(term.this))):
        known = [columns_of(each, here.found.known) or () for each in here.frame.sources.values()]
        is_input = any(folded(term.this) in names for names in known)
        if not (inputs_first and is_input):
            return output
    return node
