"""Names to tables: what each SELECT can see, and whose column a name is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from dbperf.model.facts import TableRef

Known = Mapping[str, Collection[str]]
"""Column names by "table" or "schema.table"."""


@dataclass(slots=True)
class Source:
    """An entry of FROM: a table, or the frame of a derived one; neither for functions and VALUES."""

    alias: str
    table: TableRef | None = None
    frame: Frame | None = None


@dataclass(slots=True)
class Join:
    """Two sides of FROM. `pairs` are the columns equated; a `lateral` source uses those left of it."""

    kind: str
    left: list[Source]
    right: list[Source]
    on: exp.Expr | None = None
    lateral: exp.Expr | None = None
    implicit: bool = False
    condition: str = ""
    pairs: list[tuple[Owner, Owner]] = field(default_factory=list)


@dataclass(slots=True)
class Frame:
    """A SELECT (or the statement that writes): its number, its sources by alias, how they are
    joined, and what it puts out.

    `parent` is the frame whose columns a correlated subquery may use. `transparent`: a condition on its
    output is one on its tables.
    """

    number: int
    parent: Frame | None = None
    ctes: dict[str, Frame | None] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    joined: list[Join] = field(default_factory=list)
    output: dict[str, exp.Expr] = field(default_factory=dict)
    transparent: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose column a name is: `label` is `alias.name` as written, `table` and `name` are the base table's.

    `frame` is the one that its source stands in.
    """

    table: TableRef | None
    name: str
    label: str
    source: Source | None = None
    frame: Frame | None = None


def folded(name: exp.Expr | None) -> str:
    """An identifier as the server knows it: lower case unless quoted; "" for none."""
    if name is None:
        return ""
    return name.name if isinstance(name, exp.Identifier) and name.args.get("quoted") else name.name.lower()


def owner(frame: Frame, column: exp.Column, known: Known) -> Owner | None:
    """Whose column `column` is, seen from `frame`; None if it is no column but a whole row (`count(u)`)."""
    name, qualifier = folded(column.this), folded(column.args.get("table"))
    if not qualifier and name in frame.sources:
        return None
    at: Frame | None = frame
    while at:
        source = at.sources.get(qualifier) if qualifier else _having(at, name, known)
        if source:
            return _owned(at, source, name, known)
        at = at.parent
    if not qualifier and len(frame.sources) == 1:
        # A system column, or the catalog is older than the statement.
        return _owned(frame, next(iter(frame.sources.values())), name, known)
    return Owner(None, name, f"{qualifier}.{name}" if qualifier else name)


def columns_of(source: Source, known: Known) -> Collection[str] | None:
    """The names of the columns of a source, None where nobody knows."""
    if source.table:
        table = source.table
        return known.get(
            f"{table.schema}.{table.name}" if table.schema else table.name, known.get(table.name)
        )
    if source.frame and source.frame.output and "*" not in source.frame.output:
        return source.frame.output.keys()
    return None


def _having(frame: Frame, name: str, known: Known) -> Source | None:
    """The only source of `frame` that can have a column `name`."""
    sources = list(frame.sources.values())
    columns = [columns_of(source, known) for source in sources]
    sure = [source for source, names in zip(sources, columns, strict=True) if names and name in names]
    if len(sure) == 1:
        return sure[0]
    possible = [source for source, names in zip(sources, columns, strict=True) if names is None]
    return possible[0] if not sure and len(possible) == 1 else None


def _owned(frame: Frame, source: Source, name: str, known: Known) -> Owner:
    label = f"{source.alias}.{name}"
    if source.table:
        return Owner(source.table, name, label, source, frame)
    inner = source.frame
    if inner and inner.transparent:
        column = inner.output.get(name)
        if column is None and "*" in inner.output:
            column = exp.column(exp.to_identifier(name, quoted=True))
        if isinstance(column, exp.Column) and (base := owner(inner, column, known)):
            return Owner(base.table, base.name, label, source, frame)
    return Owner(None, name, label, source, frame)
