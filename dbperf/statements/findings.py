"""What a walk over a statement has found so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel
from sqlglot.generator import Generator

from dbperf.model.facts import (
    ColumnFacts,
    ColumnRef,
    ColumnUse,
    FilterFacts,
    JoinFacts,
    Role,
    SelectFacts,
    SetOperation,
    SubqueryFacts,
    TableRef,
)
from dbperf.statements.places import COMPARED, clause_of, compared_with, kind_of
from dbperf.statements.scopes import Frame, Known, Owner, owner

_NAMED = re.compile(r"(?<![:\w]):p(\d+)\b")  # what the parser is given for `$n` outside PostgreSQL


@dataclass(slots=True)
class Findings:
    """Collects facts. `walk` visits a nested query, seen from a frame, and gives the frame of it."""

    source: str
    dialect: Dialect
    known: Known
    walk: Callable[[Findings, exp.Expr, Frame | None, dict[str, Frame | None]], Frame | None]
    tables: dict[TableRef, None] = field(default_factory=dict)
    uses: dict[tuple[TableRef | None, str], list[ColumnUse]] = field(default_factory=dict)
    joins: list[JoinFacts] = field(default_factory=list)
    filters: list[FilterFacts] = field(default_factory=list)
    selects: dict[int, SelectFacts] = field(default_factory=dict)
    set_operations: list[SetOperation] = field(default_factory=list)
    subqueries: list[SubqueryFacts] = field(default_factory=list)
    ctes: list[str] = field(default_factory=list)
    within: dict[int, int] = field(default_factory=dict)
    """By the number of a query that of the one around it, or of the set operation that it is a part of."""
    outer: dict[int, dict[ColumnRef, None]] = field(default_factory=dict)
    """By the number of a query the columns that it uses of those around it."""
    visited: dict[int, tuple[exp.Expr, Frame | None]] = field(default_factory=dict)
    """Subqueries by their id(): ORDER BY and GROUP BY may mean one that the select list has."""
    frames: int = 0
    writer: Generator = field(init=False)

    def __post_init__(self) -> None:
        self.writer = self.dialect.generator(
            normalize_functions="lower", unsupported_level=ErrorLevel.IGNORE, comments=False
        )

    def frame(self, parent: Frame | None, ctes: dict[str, Frame | None]) -> Frame:
        """A new frame, with the next number."""
        self.frames += 1
        return Frame(self.frames - 1, parent, dict(ctes))

    def text(self, node: exp.Expr) -> str:
        """The SQL of a part of the statement, to be read: sqlglot's writing, functions in lower case."""
        return _NAMED.sub(r"$\1", self.writer.generate(node, copy=False))

    def nested(
        self, node: exp.Expr, within: Frame, parent: Frame | None, kind: str, clause: str
    ) -> Frame | None:
        """Visit a query that stands in the one of frame `within`, and sees the columns of `parent`."""
        inner = node
        while isinstance(inner, exp.Subquery) and not inner.args.get("with_"):
            inner = inner.this
        if id(inner) in self.visited:
            return self.visited[id(inner)][1]
        scope = self.frames
        self.within[scope] = within.number
        frame = self.walk(self, inner, parent, within.ctes)
        self.visited[id(inner)] = (inner, frame)
        compared = compared_with(node) if kind in COMPARED else None
        self.subqueries.append(
            SubqueryFacts(
                kind=kind,
                scope=scope,
                within=within.number,
                clause=clause,
                sql=self.text(inner),
                outer=tuple(self.outer.get(scope, ())),
                output=tuple(dict.fromkeys(self._output(scope))),
                compared=f"{compared[0]} {self.text(compared[1])}".strip() if compared else "",
            )
        )
        return frame

    def _output(self, scope: int) -> Iterator[ColumnRef]:
        parts = (side for each in self.set_operations for side in (each.left, each.right))
        members = [side for side in parts if self.within.get(side) == scope]
        if members:
            for side in members:
                yield from self._output(side)
        elif scope in self.selects:
            yield from (ref for ref in self.selects[scope].output if ref)

    def columns(self) -> tuple[ColumnFacts, ...]:
        """All columns with their uses."""
        return tuple(ColumnFacts(table, name, tuple(uses)) for (table, name), uses in self.uses.items())


Pair = tuple[Owner, Owner]


@dataclass(frozen=True, slots=True)
class Context:
    """Where in a statement an expression stands.

    `conjunct`: every row must meet it, as far as it is about the sources in `only` (None: all of them).
    `role` overrides what the operators say, as a negation does. `pairs` takes the equated columns.
    """

    found: Findings
    frame: Frame
    conjunct: bool = True
    only: frozenset[str] | None = None
    role: Role | None = None
    pairs: list[Pair] | None = None

    def below(self, *, role: Role | None = None) -> Context:
        """The same place below an OR or NOT."""
        return replace(self, conjunct=False, role=role or self.role, pairs=None)

    def owner(self, column: exp.Column) -> Owner | None:
        """Whose column it is."""
        return owner(self.frame, column, self.found.known)

    def use(self, column: exp.Column, role: Role, **details: Any) -> None:
        """Note a use of `column`; `details` are fields of ColumnUse."""
        if whose := self.owner(column):
            self.note(whose, role, **details)

    def note(self, whose: Owner, role: Role, **details: Any) -> None:
        """Note a use of the column of an owner."""
        inside = self.only is None or (whose.source is not None and whose.source.alias in self.only)
        conjunct = self.conjunct and inside
        if whose.frame:
            self._correlate(whose, whose.frame.number)
        noted = ColumnUse(self.role or role, conjunct=conjunct, scope=self.frame.number, **details)
        self.found.uses.setdefault((whose.table, whose.name), []).append(noted)

    def _correlate(self, whose: Owner, number: int) -> None:
        """Note that the queries between here and the frame of a column are asked anew for each row of it."""
        scope: int | None = self.frame.number
        while scope is not None and scope != number:
            self.found.outer.setdefault(scope, {})[ColumnRef(whose.table, whose.name)] = None
            scope = self.found.within.get(scope)

    def expression(self, node: exp.Expr, role: Role, **details: Any) -> None:
        """Note a use of every column in `node`, and visit its subqueries."""
        bare = bared(node)
        text = "" if isinstance(bare, exp.Column) else None
        for part in parts(bare):
            if isinstance(part, exp.Column) and (term := _window_term(part, bare)):
                self._windowed(part, term)
            elif isinstance(part, exp.Column):
                text = self.found.text(bare) if text is None else text
                self.use(part, role, expression=text, **details)
            else:
                self.query(part)

    def _windowed(self, column: exp.Column, term: exp.Expr) -> None:
        """Note a column of PARTITION BY or ORDER BY in OVER, numbered through."""
        value, place = bared(term), term.index or 0
        descending = False
        if isinstance(term, exp.Ordered):
            value, descending = bared(term.this), bool(term.args.get("desc"))
            window = term.find_ancestor(exp.Window)
            place += len(window.args.get("partition_by") or ()) if window else 0
        text = "" if value is column else self.found.text(value)
        self.use(column, Role.WINDOW, expression=text, descending=descending, position=place)

    def query(self, node: exp.Expr) -> Frame | None:
        """Visit a subquery that may use the columns of this frame."""
        return self.found.nested(node, self.frame, self.frame, kind_of(node), clause_of(node))


def bared(node: exp.Expr) -> exp.Expr:
    """Without parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _window_term(column: exp.Column, top: exp.Expr) -> exp.Expr | None:
    """The term of PARTITION BY or ORDER BY in OVER that a column below `top` is in."""
    node: exp.Expr = column
    while node is not top and node.parent is not None:
        around = node.parent
        if isinstance(around, exp.Window) and node.arg_key == "partition_by":
            return node
        if isinstance(node, exp.Ordered) and isinstance(around.parent, exp.Window):
            return node
        node = around
    return None


def parts(node: exp.Expr) -> Iterator[exp.Column | exp.Query]:
    """The columns of an expression, and its subqueries as a whole."""
    for each in node.walk(prune=lambda part: isinstance(part, exp.Query | exp.Column)):
        if isinstance(each, exp.Query) or (
            isinstance(each, exp.Column) and not isinstance(each.this, exp.Star)
        ):
            yield each


def columns_in(node: exp.Expr) -> list[exp.Column]:
    """The columns of an expression, those of its subqueries left out."""
    return [part for part in parts(node) if isinstance(part, exp.Column)]
