"""SQL expressions of a statement, and of the indexes they are compared with."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp

from dbperf.errors import StatementError
from dbperf.model.catalog import Table
from dbperf.statements.parse import ORDINARY, parse, weigh
from dbperf.statements.tokens import dialect_of, is_postgres

_IMMUTABLE = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Paren, exp.Var, exp.DataType, exp.Lower,
    exp.Upper, exp.Trim, exp.Length, exp.MD5, exp.Left, exp.Right, exp.Substring, exp.Abs, exp.Coalesce,
    exp.Round, exp.Floor, exp.Ceil, exp.JSONExtractScalar, exp.JSONBExtractScalar, exp.JSONPath,
    exp.JSONPathPart,
)  # fmt: skip
_LOCAL = "timestamp without time zone"
_CAST_FROM = {
    "smallint", "integer", "bigint", "numeric", "real", "double precision", "text", "character varying",
    "character", "uuid", "boolean", "jsonb",
}  # fmt: skip
"""Types whose text depends on no setting, as that of a date, an enum and an array may."""
_CAST_TO = (exp.DataType.TEXT_TYPES | exp.DataType.NUMERIC_TYPES | {exp.DType.UUID}) - {exp.DType.MONEY}
_UNKNOWN = "(expression)"
"""What the catalog of SQLite has for such a key."""


def expression(sql: str, dialect: str) -> exp.Expr | None:
    """The tree of an expression, without parentheses around it; None for what cannot be read.

    It is kept for whoever asks next: to be changed it has to be copied.
    """
    try:
        return _expression(sql, dialect)
    except RecursionError:
        return None


@lru_cache(maxsize=1000)
def _expression(sql: str, dialect: str) -> exp.Expr | None:
    # A RecursionError is not kept: how much of the stack is left is another matter the next time.
    text = f"SELECT {sql}"
    try:
        tree = parse(text, dialect)[0] if weigh(text) <= ORDINARY else None
    except StatementError:
        return None
    found = tree.expressions[0] if tree is not None and len(tree.expressions) == 1 else None
    return found.unnest() if isinstance(found, exp.Expr) else None


def unqualified(sql: str, dialect: str) -> str:
    """An expression without the names of tables, as an index on it is declared; "" if it cannot be read."""
    tree = expression(sql, dialect)
    return _written(_without_tables(tree.copy()), dialect) if tree else ""


def bare(sql: str, dialect: str) -> str:
    """An expression as it is compared: in lower case, with no table names, parentheses, nor casts to text.

    PostgreSQL prints an index on `lower(email)` of a varchar as `lower((email)::text)`.
    """
    tree = expression(sql, dialect)
    if tree is None:
        return ""
    tree = tree.copy()
    for node in reversed(list(tree.walk())):
        if isinstance(node, exp.Paren) or _changes_nothing(node):
            tree = node.this if node is tree else tree
            node.replace(node.this)
    return _written(_without_tables(tree), dialect).lower()


def served(table: Table, sql: str, dialect: str) -> bool:
    """Whether some index of a table has an expression among its keys, or one that is not known."""
    wanted = bare(sql, dialect)
    keys = {key for index in table.indexes for key in index.keys if key not in table.columns}
    return any(key == _UNKNOWN or bare(key, dialect) == wanted for key in keys)


def immutable(sql: str, dialect: str, type_: str) -> bool:
    """Whether an expression of a column of a type is known to be one that PostgreSQL or SQLite can index.

    What depends on the time zone is not, nor a function of the application's own.
    """
    tree = expression(sql, dialect)
    sqlite = dialect.startswith("sqlite")
    castable = sqlite or type_.partition("(")[0] in _CAST_FROM
    return (
        tree is not None
        and (sqlite or is_postgres(dialect))
        and all(
            isinstance(node, _IMMUTABLE)
            or (isinstance(node, exp.Extract) and type_ in {_LOCAL, "date"})
            # Of a date it makes a timestamptz.
            or (isinstance(node, exp.TimestampTrunc) and type_ == _LOCAL and not node.args.get("zone"))
            or (isinstance(node, exp.Cast) and castable and node.to.this in _CAST_TO)
            or (isinstance(node, exp.Date) and sqlite)
            for node in tree.walk()
        )
    )


def columns(sql: str, dialect: str) -> int:
    """How many times an expression names a column."""
    tree = expression(sql, dialect)
    return len(list(tree.find_all(exp.Column))) if tree else 0


def is_call(sql: str, dialect: str) -> bool:
    """Whether an expression is a call or a cast, and no arithmetic, subscript or CASE."""
    tree = expression(sql, dialect)
    return isinstance(tree, exp.Func) and not isinstance(tree, exp.Binary | exp.Case)


def _written(tree: exp.Expr, dialect: str) -> str:
    return tree.sql(dialect=dialect_of(dialect), normalize_functions="lower")


def _without_tables(tree: exp.Expr) -> exp.Expr:
    for column in tree.find_all(exp.Column):
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    return tree


def _changes_nothing(node: exp.Expr) -> bool:
    """Whether it is a cast to text, or one of a constant; not what sqlglot makes a cast of, a call."""
    if not isinstance(node, exp.Cast) or "start" in node.meta:
        return False
    return isinstance(node.this, exp.Literal) or node.to.this in exp.DataType.TEXT_TYPES
