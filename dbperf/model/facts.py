"""What a statement means, as far as its text tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a statement does with a column."""

    EQUALITY = "equality"
    IN = "in"
    RANGE = "range"
    LIKE_PREFIX = "like-prefix"
    LIKE_SUFFIX = "like-suffix"
    LIKE_INFIX = "like-infix"
    LIKE = "like"
    """The pattern is a parameter, or another kind of match (ILIKE)."""
    CONTAINMENT = "containment"
    """JSON and array operators: @>, <@, ?, ?|, ?&, &&."""
    IS_NULL = "is-null"
    JOIN = "join"
    ORDER = "order"
    GROUP = "group"
    DISTINCT = "distinct"
    WINDOW = "window"
    SELECTED = "selected"
    WRITTEN = "written"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table as a statement names it; `schema` and `alias` are empty where it gives none."""

    schema: str
    name: str
    alias: str = ""


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One use of a column.

    `parameter` is the 1-based `$n` that binds it, `literal` the text of a constant that does. `conjunct`:
    the use stands in a condition that every row must meet (not below OR or NOT). `expression` is the SQL
    around the column where the column is not used bare (`lower(email)`). `other` is the column compared to,
    `alias.name`, for a join. `scope` numbers the SELECT the use stands in, 0 for the outermost. `position`
    is the 0-based place in its ORDER BY or GROUP BY.
    """

    role: Role
    parameter: int | None = None
    literal: str | None = None
    conjunct: bool = True
    expression: str = ""
    descending: bool = False
    nulls_first: bool | None = None
    other: str = ""
    scope: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column and all its uses, in the order of the text; `table` is None where the text cannot tell."""

    table: TableRef | None
    name: str
    uses: tuple[ColumnUse, ...]

    @property
    def roles(self) -> tuple[Role, ...]:
        """The distinct roles, in the order of the text."""
        return tuple(dict.fromkeys(use.role for use in self.uses))

    @property
    def parameter(self) -> int | None:
        """The first parameter that binds the column, 1-based."""
        return next((use.parameter for use in self.uses if use.parameter is not None), None)


@dataclass(frozen=True, slots=True)
class JoinFacts:
    """A join: `kind` is inner, left, right, full or cross; `columns` are the equated `alias.name` pairs.

    `condition` is what ON says, "USING (…)" or "NATURAL"; for a comma and CROSS JOIN the conditions of WHERE
    on it and another table; "LATERAL" for a source made anew for each row before it; "" for none. `implicit`:
    a comma in FROM, UPDATE … FROM or DELETE … USING, joined (or not) by WHERE.
    `nullified_by` is the condition of WHERE that drops every row which an outer join adds, "" for none: such
    a join returns what an inner join would. `scope` numbers the SELECT.
    """

    kind: str
    table: TableRef
    columns: tuple[tuple[str, str], ...] = ()
    condition: str = ""
    implicit: bool = False
    nullified_by: str = ""
    scope: int = 0

    @property
    def missing(self) -> bool:
        """Whether nothing says which rows belong together: each of one side comes with each of the other."""
        return not self.columns and not self.condition


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column of a table; `table` is None where the text cannot tell."""

    table: TableRef | None
    name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A LIMIT or OFFSET: a number, or a parameter (1-based), or neither: an expression."""

    number: int | None = None
    parameter: int | None = None


@dataclass(frozen=True, slots=True)
class SubqueryFacts:
    """A query within another: `kind` is exists, not-exists, in, not-in, scalar, any, all, array, derived,
    lateral or cte.

    `scope` is its SELECT's number, `within` that of the one around it. `outer` are the columns of queries
    around it that it uses: it is correlated. `output` are the base columns that it puts out, as far as they
    are known. `clause` is where it stands: select, from, where, having, order, set, with. `compared` is
    what it is compared with: "> 0" for `(SELECT count(*) …) > 0` and `0 < (SELECT count(*) …)`, for IN the
    other side alone.
    """

    kind: str
    scope: int
    within: int
    clause: str
    sql: str
    outer: tuple[ColumnRef, ...] = ()
    output: tuple[ColumnRef, ...] = ()
    compared: str = ""

    @property
    def correlated(self) -> bool:
        """Whether it has to be asked anew for each row around it, unless the planner turns it into a join."""
        return bool(self.outer)


@dataclass(frozen=True, slots=True)
class SelectFacts:
    """One SELECT of a statement, or what UPDATE and DELETE do, by its `scope`.

    `tables` are the base tables in its own FROM; the target of UPDATE, DELETE and MERGE is the first of them,
    INSERT reads none. `stars` are the aliases that it takes all columns of, "*" for a bare star. `output`
    has an entry for each of its outputs (of RETURNING): the base column, None for an expression or a star.
    `constants` are the constants among its outputs, (0-based place, text). `ordered` are its ORDER BY terms
    as written, without their direction, `grouped` those of GROUP BY. `aggregates` are the aggregate functions
    called, lower case, and `windows` how many calls have OVER; those of nested queries do not count.

    A set operation has a scope of its own, with its ORDER BY and LIMIT, no tables, and the output of its
    first part.
    """

    scope: int
    tables: tuple[TableRef, ...] = ()
    stars: tuple[str, ...] = ()
    output: tuple[ColumnRef | None, ...] = ()
    constants: tuple[tuple[int, str], ...] = ()
    distinct: bool = False
    ordered: tuple[str, ...] = ()
    grouped: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()
    windows: int = 0
    limit: Bound | None = None
    offset: Bound | None = None
    locks: bool = False


@dataclass(frozen=True, slots=True)
class SetOperation:
    """`kind`: union, intersect, except, or one of them and "all"; `left` and `right` are scopes.

    In a chain, `left` is the part just before.
    """

    kind: str
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Complexity:
    """How much a statement asks for: `score` 0 to 100, and how many it has of each of the `parts`.

    See dbperf.statements.complexity for the parts and what they weigh.
    """

    score: int = 0
    parts: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class FilterFacts:
    """A condition of WHERE or HAVING; `why_not` says why no B-tree on a bare column can serve it, empty if
    one can. `columns` are `alias.name`, `of` the base columns where they are known. `aggregate`: it is about
    an aggregate (`count(*) > 1`).
    """

    sql: str
    columns: tuple[str, ...]
    why_not: str = ""
    clause: str = "where"
    """`where` or `having`."""
    scope: int = 0
    aggregate: bool = False
    of: tuple[ColumnRef, ...] = ()
    operator: str = ""
    """The outermost operator, in lower case: `=`, `<`, `in`, `like`, `is null`, `or`, `not in`, `exists`,
    `= any`, `<> all` …; "" for a bare column or a call."""
    items: int = 0
    """Of an IN list or array: how many members it has."""
    value_type: str = ""
    """The type that a constant or parameter compared to is written with: `numeric` for 1.5 or $1::NUMERIC.

    Such as integer, bigint, numeric, float (for double precision), real, boolean, date, timestamptz,
    varchar; of an array compared by ANY that of its members; "" for a string or a bare parameter.
    """

    @property
    def sargable(self) -> bool:
        """Whether a plain B-tree index can serve the condition."""
        return not self.why_not


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """What sqlglot says of a statement; with `parsed` False only `sql` and `reason` mean anything."""

    sql: str
    parsed: bool
    reason: str = ""
    kind: str = ""
    """`select`, `insert`, `update`, `delete`, `merge`, `ddl`, `transaction`, `utility`."""
    tables: tuple[TableRef, ...] = ()
    columns: tuple[ColumnFacts, ...] = ()
    joins: tuple[JoinFacts, ...] = ()
    filters: tuple[FilterFacts, ...] = ()
    functions: tuple[str, ...] = ()
    """Names of the functions called, lower case, as the server knows them; for a proof of no side effect."""
    limit: bool = False
    offset: bool = False
    selects: tuple[SelectFacts, ...] = ()
    """By scope; the first is the outermost."""
    subqueries: tuple[SubqueryFacts, ...] = ()
    set_operations: tuple[SetOperation, ...] = ()
    ctes: tuple[str, ...] = ()
    complexity: Complexity = field(default_factory=Complexity)
    read_only: bool = False
    """Proven from the text: a query with no data-modifying part and no row lock. Functions are not judged."""
