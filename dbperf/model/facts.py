"""What a statement means, as far as its text tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a statement does with a column."""

    EQUALITY = "equality"
    IN = "in"
    RANGE = "range"
    LIKE_PREFIX = "like-prefix"
    LIKE = "like"
    IS_NULL = "is-null"
    JOIN = "join"
    ORDER = "order"
    GROUP = "group"
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
    """A join: `kind` is inner, left, right, full or cross; `columns` are the equated `alias.name` pairs."""

    kind: str
    table: TableRef
    columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FilterFacts:
    """A condition of WHERE; `why_not` says why no B-tree on a bare column can serve it, empty if one can."""

    sql: str
    columns: tuple[str, ...]
    why_not: str = ""

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
    read_only: bool = False
    """Proven from the text: a query with no data-modifying part and no row lock. Functions are not judged."""
