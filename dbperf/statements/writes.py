"""The walk over INSERT, UPDATE, DELETE and MERGE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlglot import exp

from dbperf.model.facts import Role
from dbperf.statements.conditions import binding, condition
from dbperf.statements.findings import Context, Findings, bared
from dbperf.statements.joins import comma, join_on, settle
from dbperf.statements.queries import Ctes, common_tables, query, sources, where
from dbperf.statements.scopes import Frame, Owner, Source, folded
from dbperf.statements.selects import note_select


def visit(found: Findings, node: exp.Expr, parent: Frame | None, ctes: Ctes) -> Frame | None:
    """Visit a query or a statement that writes: the `walk` of Findings."""
    match node:
        case exp.Insert():
            return _insert(found, node, ctes)
        case exp.Update():
            return _update(found, node, ctes)
        case exp.Delete():
            return _delete(found, node, ctes)
        case exp.Merge():
            return _merge(found, node, ctes)
    return query(found, node, parent, ctes)


def _start(found: Findings, node: exp.Expr, ctes: Ctes) -> Context:
    frame = found.frame(None, ctes)
    common_tables(found, node, frame)
    return Context(found, frame)


def _insert(found: Findings, node: exp.Insert, ctes: Ctes) -> Frame:
    here = _start(found, node, ctes)
    schema = node.this if isinstance(node.this, exp.Schema) else None
    target = sources(here, schema.this if schema else node.this)[0]
    names = [folded(each) for each in schema.expressions] if schema else []
    values = node.expression
    if isinstance(values, exp.Values):
        _written(here, target, names, bared(values.expressions[0]).expressions)
        here.expression(values, Role.OTHER)
    else:
        _written(here, target, names, ())
        if isinstance(values, exp.Expr):
            here.found.walk(found, values, None, here.frame.ctes)
    if conflict := node.args.get("conflict"):
        # Seen by its name alone: an unqualified column is the target's.
        here.frame.parent = Frame(here.frame.number, sources={"excluded": Source("excluded")})
        for key in conflict.args.get("conflict_keys") or ():
            here.expression(key.this if isinstance(key, exp.Ordered) else key, Role.OTHER)
        _assignments(here, target, conflict.expressions)
        where(here, conflict.args.get("where"))
    _done(here, node)
    # It reads nothing of the table that it writes to.
    scope = here.frame.number
    here.found.selects[scope] = replace(here.found.selects[scope], tables=())
    return here.frame


def _written(here: Context, target: Source, names: list[str], row: Iterable[exp.Expr]) -> None:
    cells = [*row]
    for at, name in enumerate(names):
        parameter, literal = binding(cells[at]) if at < len(cells) else (None, None)
        here.note(_column(target, name), Role.WRITTEN, parameter=parameter, literal=literal)


def _column(target: Source, name: str) -> Owner:
    return Owner(target.table, name, f"{target.alias}.{name}", target)


def _assignments(here: Context, target: Source, assignments: Iterable[exp.Expr]) -> None:
    for each in assignments:
        if not isinstance(each, exp.EQ):
            continue
        left, right = bared(each.this), bared(each.expression)
        columns = left.expressions if isinstance(left, exp.Tuple) else [left]
        row = right.expressions if isinstance(right, exp.Tuple) else [right]
        _written(here, target, [folded(column.this) for column in columns], row)
        here.expression(right, Role.OTHER)


def _update(found: Findings, node: exp.Update, ctes: Ctes) -> Frame:
    here = _start(found, node, ctes)
    target = sources(here, node.this)
    from_ = node.args.get("from_")
    if from_:
        _listed(here, target, from_.this)
    _assignments(here, target[0], node.expressions)
    where(here, node.args.get("where"))
    _done(here, node)
    return here.frame


def _listed(here: Context, target: list[Source], node: exp.Expr) -> None:
    """Read an entry of UPDATE … FROM or DELETE … USING, which WHERE joins to the target."""
    at = len(here.frame.joined)
    source = sources(here, node)[:1]
    here.frame.joined.insert(at, comma(target, node, source))


def _delete(found: Findings, node: exp.Delete, ctes: Ctes) -> Frame:
    here = _start(found, node, ctes)
    target = sources(here, node.this)
    for each in node.args.get("using") or ():
        _listed(here, target, each)
    where(here, node.args.get("where"))
    _done(here, node)
    return here.frame


def _merge(found: Findings, node: exp.Merge, ctes: Ctes) -> Frame:
    here = _start(found, node, ctes)
    target = sources(here, node.this)
    using = sources(here, node.args["using"])
    join_on(here, "inner", target, using, node.args.get("on"))
    settle(here, [], [])
    for when in node.args["whens"].expressions:
        if asked := when.args.get("condition"):
            condition(asked, here)
        then = when.args.get("then")
        if isinstance(then, exp.Update):
            _assignments(here, target[0], then.expressions)
        elif isinstance(then, exp.Insert):
            names = (
                [folded(column.this) for column in then.this.expressions]
                if isinstance(then.this, exp.Tuple)
                else []
            )
            cells = then.expression.expressions if isinstance(then.expression, exp.Tuple) else ()
            _written(here, target[0], names, cells)
            for cell in cells:
                here.expression(cell, Role.OTHER)
    _done(here, node)
    return here.frame


def _done(here: Context, node: exp.Expr) -> None:
    returning = node.args.get("returning")
    outputs = returning.expressions if returning else []
    for each in outputs:
        here.expression(each.unalias(), Role.SELECTED)
    note_select(here, node, outputs)
