"""Joins: what says which rows belong together, in ON, in USING or in WHERE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from dbperf.model.facts import JoinFacts, Role, TableRef
from dbperf.statements.conditions import condition, conjuncts
from dbperf.statements.findings import Context, Pair, columns_in
from dbperf.statements.nulls import rejects
from dbperf.statements.scopes import Frame, Join, Source, columns_of, folded

Tie = tuple[frozenset[str], exp.Expr | None]
"""Aliases that belong together, and the condition that says so."""


def join(here: Context, left: Sequence[Source], node: exp.Join, right: list[Source]) -> Join:
    """Read an entry of FROM that is joined to those left of it; `settle` makes facts of it."""
    side, kind = str(node.side).lower(), str(node.kind).lower()
    on, using, method = (node.args.get(each) for each in ("on", "using", "method"))
    if not (side or kind or on or using or method):
        joined = comma(left, node.this, right)
        here.frame.joined.append(joined)
        return joined
    joined = join_on(here, side or ("cross" if kind == "cross" else "inner"), left, right, on)
    for name in using or ():
        _using(here, joined, folded(name))
    if using:
        joined.condition = f"USING ({', '.join(folded(name) for name in using)})"
    elif method:
        joined.condition = str(method).upper()
    elif not on and _is_dependent(node.this):
        joined.condition, joined.lateral = "LATERAL", node.this
    return joined


def join_on(
    here: Context, kind: str, left: Sequence[Source], right: list[Source], on: exp.Expr | None
) -> Join:
    """Read the condition of a join."""
    joined = Join(kind, list(left), right, on)
    there = _seen(here, joined)
    for each in conjuncts(on) if on else ():
        condition(each, there)
    joined.condition = here.found.text(on) if on else ""
    here.frame.joined.append(joined)
    return joined


def _seen(here: Context, joined: Join) -> Context:
    """Where the condition of a join stands: no row of an outer side need meet it."""
    sides = {"left": joined.right, "right": joined.left, "full": []}.get(joined.kind)
    only = None if sides is None else frozenset(each.alias for each in sides)
    return Context(here.found, here.frame, only=only, pairs=joined.pairs)


def comma(left: Sequence[Source], node: exp.Expr, right: list[Source]) -> Join:
    """The join of a source `node` that only WHERE may join."""
    joined = Join("cross", list(left), right, implicit=True)
    if _is_dependent(node):
        joined.condition, joined.lateral = "LATERAL", node
    return joined


def _is_dependent(node: exp.Expr) -> bool:
    """Whether a source is made anew for each row left of it: LATERAL, or a function of its columns."""
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        return False
    return isinstance(node, exp.Lateral) or (
        not isinstance(node, exp.Query) and any(column.args.get("table") for column in columns_in(node))
    )


def _using(here: Context, joined: Join, name: str) -> None:
    there = _seen(here, joined)
    others = [each for each in joined.left if name in (columns_of(each, here.found.known) or (name,))]
    column = exp.to_identifier(name, quoted=True)
    owners = [
        there.owner(exp.column(column, exp.to_identifier(each.alias, quoted=True)))
        for each in (*others[:1], joined.right[0])
    ]
    if len(owners) > 1 and owners[0] and owners[1]:
        there.note(owners[0], Role.JOIN, other=owners[1].label)
        there.note(owners[1], Role.JOIN, other=owners[0].label)
        joined.pairs.append((owners[0], owners[1]))


def settle(here: Context, where: Sequence[exp.Expr], pairs: Sequence[Pair]) -> None:
    """Note the joins of a frame, now that the conditions of its WHERE and what they equate are known."""
    joined = here.frame.joined
    loose = [each for each in joined if each.kind == "cross"]
    ties = [*_ties(here, where)] if loose else []
    for each in loose:
        _tie(here, each, ties, pairs)
    for each in joined:
        table = each.right[0].table or TableRef("", "", each.right[0].alias)
        nullified_by = _nullified_by(here, each, where)
        here.found.joins.append(
            JoinFacts(
                each.kind,
                table,
                tuple(_columns(each)),
                each.condition,
                each.implicit,
                nullified_by,
                here.frame.number,
            )
        )


def _columns(joined: Join) -> Iterator[tuple[str, str]]:
    """The equated columns, those of the joined side second."""
    aliases = {each.alias for each in joined.right}
    for one, other in joined.pairs:
        flip = one.source is not None and one.source.alias in aliases
        yield (other.label, one.label) if flip else (one.label, other.label)


def _ties(here: Context, where: Sequence[exp.Expr]) -> Iterator[Tie]:
    yield from ((_aliases(here, each), each) for each in where)
    for joined in here.frame.joined:
        if joined.lateral:
            yield _aliases(here, joined.lateral) | {joined.right[0].alias}, None
        yield from ((_aliases(here, each), each) for each in (conjuncts(joined.on) if joined.on else ()))
        for pair in joined.pairs:
            yield frozenset(owner.source.alias for owner in pair if owner.source), None


def _aliases(here: Context, node: exp.Expr) -> frozenset[str]:
    """The aliases that a condition is about; all, where it may be any of them that it ties together."""
    columns = list(node.find_all(exp.Column))
    named = {folded(column.args.get("table")) for column in columns} - {""}
    unknown = 0
    for column in columns_in(node):
        if not column.args.get("table"):
            whose = here.owner(column)
            if whose is None:
                named.add(folded(column.this))
            elif whose.source:
                named.add(whose.source.alias)
            else:
                unknown += 1
    if unknown and unknown + len(named) > 1:
        named |= here.frame.sources.keys()
    return frozenset(named)


def _tie(here: Context, joined: Join, ties: Sequence[Tie], pairs: Sequence[Pair]) -> None:
    """What joins a source that has no ON: the conditions of WHERE on it and those left of it."""
    alias = joined.right[0].alias
    left = _before(here.frame, alias)
    for pair in pairs:
        ends = {owner.source.alias for owner in pair if owner.source}
        if alias in ends and ends - {alias} <= left:
            joined.pairs.append(pair)
    reached = _reached(alias, ties)
    if reached & left:
        joined.kind = "inner"
        telling = [(about, node) for about, node in ties if node and len(about) > 1 and about <= reached]
        mine = [node for about, node in telling if alias in about] or [node for _, node in telling]
        joined.condition = joined.condition or " AND ".join(map(here.found.text, mine))


def _before(frame: Frame, alias: str) -> set[str]:
    names = list(frame.sources)
    return set(names[: names.index(alias)]) if alias in names else set()


def _reached(alias: str, ties: Sequence[Tie]) -> set[str]:
    """All aliases that conditions tie to one, in however many steps."""
    reached, size = {alias}, 0
    while size < len(reached):
        size = len(reached)
        for about, _ in ties:
            if about & reached:
                reached |= about
    return reached


def _nullified_by(here: Context, joined: Join, where: Sequence[exp.Expr]) -> str:
    sides = {"left": [joined.right], "right": [joined.left], "full": [joined.left, joined.right]}
    found: dict[str, None] = {}
    for side in sides.get(joined.kind, ()):

        def nullable(column: exp.Column, side: list[Source] = side) -> bool:
            whose = here.owner(column)
            return whose is not None and any(whose.source is each for each in side)

        rejecting = next((each for each in where if rejects(each, nullable)), None)
        if rejecting is None:
            return ""
        found[here.found.text(rejecting)] = None
    return " AND ".join(found)
