"""A condition on a function of a column, written as one on the bare column: only where both are the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from sqlglot import exp

from dbperf.advice.expressions import expression
from dbperf.model.catalog import Column
from dbperf.statements.tokens import dialect_of, is_postgres

_OPERATORS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_FLIPPED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_STEPS = {
    "MINUTE": "1 minute",
    "HOUR": "1 hour",
    "DAY": "1 day",
    "WEEK": "1 week",
    "MONTH": "1 month",
    "QUARTER": "3 months",
    "YEAR": "1 year",
}
_EXACT_UNITS = {"SECOND", "MINUTE", "HOUR", "DAY", "WEEK"}
_NUMBERS = {"smallint", "integer", "bigint", "uuid"}

Edge = Callable[[exp.Expr], str]


def bare_condition(sql: str, dialect: str, column: Column | None) -> str:
    """What `sql`, a comparison of a function of `column` with a value, is on the column itself; else ""."""
    tree = expression(sql, dialect)
    if isinstance(tree, exp.Between):
        side, operator, values = tree.this.unnest(), "between", [tree.args["low"], tree.args["high"]]
    elif tree is not None and type(tree) in _OPERATORS:
        side, operator, value = tree.this.unnest(), _OPERATORS[type(tree)], tree.expression
        if not side.find(exp.Column):
            side, operator, value = value.unnest(), _FLIPPED[operator], side
        values = [value]
    else:
        return ""
    if not is_postgres(dialect):
        return _by_day(side, operator, values, dialect) if dialect.startswith("sqlite") else ""
    return (
        _by_time(side, operator, values, column.type if column else "")
        or _without_default(side, operator, values, column)
        or _other_side(side, operator, values)
        or _as_stored(side, operator, values, column)
    )


def _text(node: exp.Expr, dialect: str = "postgresql") -> str:
    return node.sql(dialect=dialect_of(dialect), normalize_functions="lower")


def _half_open(column: exp.Expr, operator: str, values: list[exp.Expr], start: Edge, end: Edge) -> str:
    """The rows whose period, of which `start` and `end` give the edges, compares so with a value."""
    name = _text(column)
    match operator:
        case "=" | "between":
            return f"{name} >= {start(values[0])} AND {name} < {end(values[-1])}"
        case "<" | ">=":
            return f"{name} {operator} {start(values[0])}"
        case _:
            return f"{name} {'>=' if operator == '>' else '<'} {end(values[0])}"


def _by_time(side: exp.Expr, operator: str, values: list[exp.Expr], type_: str) -> str:
    """`date(x)`, `x::date`, `date_trunc('day', x)`, `extract(year FROM x)`."""
    if type_ and not type_.startswith(("timestamp", "date")):
        return ""
    column = side.expression if isinstance(side, exp.Extract) else side.this
    if not isinstance(column, exp.Column):
        return ""
    if isinstance(side, exp.Date) or (isinstance(side, exp.Cast) and side.to.this is exp.DType.DATE):
        return _half_open(column, operator, values, _day, lambda value: _day(value, 1))
    if isinstance(side, exp.TimestampTrunc) and (step := _STEPS.get(side.text("unit").upper())):
        stored = type_ or "timestamp"
        at = f"CAST({{}} AS {stored})"
        return _half_open(
            column,
            operator,
            values,
            _text,
            lambda value: f"{at.format(_text(value))} + INTERVAL '{step}'",
        )
    if isinstance(side, exp.Extract) and side.name.upper() == "YEAR":
        return _half_open(column, operator, values, _year, lambda value: _year(value, 1))
    return ""


def _by_day(side: exp.Expr, operator: str, values: list[exp.Expr], dialect: str) -> str:
    """`date(x)` of SQLite, whose dates are text in ISO's form."""
    if not isinstance(side, exp.Date) or side.expressions or not isinstance(side.this, exp.Column):
        return ""

    def end(value: exp.Expr) -> str:
        return f"date({_text(value, dialect)}, '+1 day')"

    return _half_open(side.this, operator, values, lambda value: _text(value, dialect), end)


def _day(value: exp.Expr, more: int = 0) -> str:
    plain = value.this if isinstance(value, exp.Cast) and value.to.this is exp.DType.DATE else value
    if isinstance(plain, exp.Literal) and plain.is_string:
        try:
            return f"'{date.fromisoformat(plain.name) + timedelta(days=more)}'"
        except (ValueError, OverflowError):
            pass
    is_date = plain is not value or isinstance(value, exp.CurrentDate)
    text = _text(value) if is_date else f"CAST({_text(value)} AS DATE)"
    return f"{text} + INTERVAL '1 day'" if more else text


def _year(value: exp.Expr, more: int = 0) -> str:
    if isinstance(value, exp.Literal) and value.is_int and 0 < int(value.name) < 9999:
        return f"'{int(value.name) + more:04}-01-01'"
    text = _text(value) if isinstance(value, exp.Cast) else f"CAST({_text(value)} AS INT)"
    return f"make_date({text}{' + 1' if more else ''}, 1, 1)"


def _without_default(side: exp.Expr, operator: str, values: list[exp.Expr], column: Column | None) -> str:
    """`coalesce(x, default) = value`."""
    if not isinstance(side, exp.Coalesce) or operator != "=" or not isinstance(side.this, exp.Column):
        return ""
    name, value = _text(side.this), values[0]
    equal = f"{name} = {_text(value)}"
    if column and column.not_null:
        return equal
    default = side.expressions[0] if len(side.expressions) == 1 else None
    if isinstance(default, exp.Literal | exp.Boolean) and type(default) is type(value):
        return f"({equal} OR {name} IS NULL)" if default == value else equal
    return ""


def _other_side(side: exp.Expr, operator: str, values: list[exp.Expr]) -> str:
    """`x + interval '1 day' > now()`, `now() - x > interval '1 day'`, `x AT TIME ZONE 'UTC' > now()`."""
    if operator == "between":
        return ""
    value = _text(values[0])
    if isinstance(side, exp.Add | exp.Sub):
        left, right = side.this.unnest(), side.expression.unnest()
        if isinstance(left, exp.Column) and _exact(right):
            back = "-" if isinstance(side, exp.Add) else "+"
            return f"{_text(left)} {operator} {value} {back} {_text(right)}"
        if isinstance(side, exp.Sub) and isinstance(right, exp.Column) and _exact(values[0]):
            return f"{_text(right)} {_FLIPPED[operator]} {_text(left)} - {value}"
    return ""


def _exact(node: exp.Expr) -> bool:
    """Whether adding it and taking it away again gives the same: not so a month.

    Nor, by an hour, a day on which the clocks change; that is let pass.
    """
    if isinstance(node, exp.Interval):
        return node.text("unit").upper().removesuffix("S") in _EXACT_UNITS
    return isinstance(node, exp.Literal) and node.is_int


def _as_stored(side: exp.Expr, operator: str, values: list[exp.Expr], column: Column | None) -> str:
    """`id::text = value`."""
    if operator != "=" or not isinstance(side, exp.Cast) or not isinstance(side.this, exp.Column):
        return ""
    if column is None or column.type not in _NUMBERS or side.to.this not in exp.DataType.TEXT_TYPES:
        return ""
    return f"{_text(side.this)} = CAST({_text(values[0])} AS {column.type})"
