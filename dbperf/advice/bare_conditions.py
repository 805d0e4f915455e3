"""A condition on a function of a column, written as one on the bare column: only where both are the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID

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
_INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
"""And the first positive number that each cannot hold."""
_FLOATS = {"real", "double precision"}
_TEXTS = ("text", "character varying")
_TIMES = ("timestamp", "date")
_SHORT_INTEGERS = {exp.DType.INT, exp.DType.SMALLINT}
"""What make_date takes without a cast."""

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
        or _other_side(side, operator, values, column)
        or _as_stored(side, operator, values, column)
    )


def _text(node: exp.Expr, dialect: str = "postgresql") -> str:
    return node.sql(dialect=dialect_of(dialect), normalize_functions="lower")


def _half_open(column: exp.Expr, operator: str, values: list[exp.Expr], start: Edge, end: Edge) -> str:
    """The rows whose period, of which `start` and `end` give the edges, compares so with a value.

    Right only for a value at the edge of a period: `date(x) >= now()` is false of all of today.
    """
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
    if type_ and not type_.startswith(_TIMES):
        return ""
    column = side.expression if isinstance(side, exp.Extract) else side.this
    if not isinstance(column, exp.Column):
        return ""
    if isinstance(side, exp.Date) or (isinstance(side, exp.Cast) and side.to.this is exp.DType.DATE):
        if side.expressions or not all(map(_is_date, values)):
            return ""
        return _half_open(column, operator, values, _day, lambda value: _day(value, 1))
    if isinstance(side, exp.TimestampTrunc):
        return _by_unit(side, column, operator, values, type_ or "timestamp")
    if isinstance(side, exp.Extract) and side.name.upper() == "YEAR" and all(map(_is_year, values)):
        return _half_open(column, operator, values, _year, lambda value: _year(value, 1))
    return ""


def _by_unit(
    side: exp.TimestampTrunc, column: exp.Expr, operator: str, values: list[exp.Expr], type_: str
) -> str:
    """`date_trunc('month', x) = date_trunc('month', now())`: only such values are known to begin a month."""
    step = _STEPS.get(side.text("unit").upper())
    aligned = all(isinstance(value, exp.TimestampTrunc) and value.unit == side.unit for value in values)
    if not step or not aligned or any(each.args.get("zone") for each in [side, *values]):
        return ""

    def end(value: exp.Expr) -> str:
        return f"CAST({_text(value)} AS {type_}) + INTERVAL '{step}'"

    return _half_open(column, operator, values, _text, end)


def _by_day(side: exp.Expr, operator: str, values: list[exp.Expr], dialect: str) -> str:
    """`date(x)` of SQLite, whose dates are text in ISO's form."""
    if not isinstance(side, exp.Date) or side.expressions or not isinstance(side.this, exp.Column):
        return ""
    # Not a cast: as DATE it is a number there.
    if not all(isinstance(value, exp.Date | exp.CurrentDate) or _iso(value) for value in values):
        return ""

    def end(value: exp.Expr) -> str:
        return f"date({_text(value, dialect)}, '+1 day')"

    return _half_open(side.this, operator, values, lambda value: _text(value, dialect), end)


def _iso(value: exp.Expr) -> date | None:
    """The day that a literal such as '2026-01-31' means; None for another, and for one with a time."""
    if not isinstance(value, exp.Literal) or not value.is_string:
        return None
    try:
        day = date.fromisoformat(value.name)
    except ValueError:
        return None
    return day if str(day) == value.name else None


def _is_date(value: exp.Expr) -> bool:
    """Whether PostgreSQL takes a value that is compared with a date for a date, without a time."""
    node = value.unnest()
    if isinstance(node, exp.Add | exp.Sub):
        days = node.expression.unnest()
        return isinstance(days, exp.Literal) and days.is_int and _is_date(node.this) and not _iso(node.this)
    if isinstance(node, exp.Cast):
        return node.to.this is exp.DType.DATE
    return isinstance(node, exp.Date | exp.CurrentDate) or _iso(node) is not None


def _day(value: exp.Expr, more: int = 0) -> str:
    plain = value.this if isinstance(value, exp.Cast) else value
    if day := _iso(plain):
        try:
            return f"'{day + timedelta(days=more)}'"
        except OverflowError:
            pass
    text = f"CAST({_text(value)} AS DATE)" if isinstance(value, exp.Literal) else _text(value)
    return f"{text} + INTERVAL '1 day'" if more else text


def _is_year(value: exp.Expr) -> bool:
    if isinstance(value, exp.Literal):
        return value.is_int and 0 < int(value.name) < 9999
    return isinstance(value, exp.Cast) and value.to.this in _SHORT_INTEGERS


def _year(value: exp.Expr, more: int = 0) -> str:
    if isinstance(value, exp.Literal):
        return f"'{int(value.name) + more:04}-01-01'"
    return f"make_date({_text(value)}{' + 1' if more else ''}, 1, 1)"


def _without_default(side: exp.Expr, operator: str, values: list[exp.Expr], column: Column | None) -> str:
    """`coalesce(x, default) = value`."""
    if not isinstance(side, exp.Coalesce) or operator != "=" or not isinstance(side.this, exp.Column):
        return ""
    name, value = _text(side.this), values[0]
    equal = f"{name} = {_text(value)}"
    if column and column.not_null:
        return equal
    if len(side.expressions) != 1:
        return ""
    same = _same(side.expressions[0], value, column.type if column else "")
    return "" if same is None else f"({equal} OR {name} IS NULL)" if same else equal


def _same(one: exp.Expr, other: exp.Expr, type_: str) -> bool | None:
    """Whether two constants are equal as values of a column's type; None where that is not certain."""
    if isinstance(one, exp.Boolean) and isinstance(other, exp.Boolean):
        return one == other
    if not isinstance(one, exp.Literal) or not isinstance(other, exp.Literal):
        return None
    if one.is_string and other.is_string:
        # Other types have two ways to write one value.
        return True if one == other else False if type_.startswith(_TEXTS) else None
    if one.is_string or other.is_string or type_ in _FLOATS:
        return None
    try:
        return Decimal(one.name) == Decimal(other.name)
    except InvalidOperation:
        return None


def _other_side(side: exp.Expr, operator: str, values: list[exp.Expr], column: Column | None) -> str:
    """`x + interval '1 day' > now()`, `now() - x > interval '1 day'`, of integers `x + 7 > 9`."""
    if operator == "between" or not isinstance(side, exp.Add | exp.Sub):
        return ""
    type_ = column.type if column else ""
    left, right = side.this.unnest(), side.expression.unnest()
    if isinstance(left, exp.Column) and _exact(right, type_) and (value := _typed(values[0], type_)):
        back = "-" if isinstance(side, exp.Add) else "+"
        return f"{_text(left)} {operator} {value} {back} {_text(right)}"
    if isinstance(side, exp.Sub) and isinstance(right, exp.Column) and _exact(values[0], type_):
        value = _typed(left, type_)
        return f"{_text(right)} {_FLIPPED[operator]} {value} - {_text(values[0])}" if value else ""
    return ""


def _typed(value: exp.Expr, type_: str) -> str:
    """A value to calculate with: of `'2026-01-31' - interval '1 day'` PostgreSQL takes both for intervals."""
    known = not isinstance(value, exp.Parameter | exp.Placeholder) and not value.is_string
    if known or type_ in _INTEGERS:
        return _text(value)
    # A date and an interval are a timestamp; one of fewer digits would be rounded.
    at = "timestamp" if type_ == "date" else re.sub(r"\(\d+\)", "", type_)
    return f"CAST({_text(value)} AS {at})" if at else ""


def _exact(node: exp.Expr, type_: str) -> bool:
    """Whether adding it to a column and taking it away again gives the same: not so a month.

    Nor, by an hour, a day on which the clocks change; that is let pass. An integer only where the column is
    one: with a date the other side would be a timestamp, which takes none.
    """
    if isinstance(node, exp.Interval):
        exact = node.text("unit").upper().removesuffix("S") in _EXACT_UNITS
        return exact and (not type_ or type_.startswith(_TIMES))  # a time of the day begins anew at midnight
    return isinstance(node, exp.Literal) and node.is_int and type_ in _INTEGERS


def _as_stored(side: exp.Expr, operator: str, values: list[exp.Expr], column: Column | None) -> str:
    """`id::text = value`."""
    if operator != "=" or not isinstance(side, exp.Cast) or not isinstance(side.this, exp.Column):
        return ""
    if column is None or column.type not in {*_INTEGERS, "uuid"}:
        return ""
    if side.to.this not in exp.DataType.TEXT_TYPES or side.to.expressions:
        return ""
    name, value = _text(side.this), values[0]
    plain = value.this if isinstance(value, exp.Cast) else value
    if isinstance(plain, exp.Parameter | exp.Placeholder):
        return f"{name} = CAST({_text(value)} AS {column.type})"
    if value.is_string and _canonical(value.name, column.type):
        return f"{name} = {_text(value) if column.type == 'uuid' else value.name}"
    return ""


def _canonical(text: str, type_: str) -> bool:
    """Whether a text is what the server writes for some value of the type: not so 007."""
    try:
        if type_ == "uuid":
            return str(UUID(text)) == text
        return str(int(text)) == text and abs(int(text)) < _INTEGERS[type_]
    except ValueError:
        return False
