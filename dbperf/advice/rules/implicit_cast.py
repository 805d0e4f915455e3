"""DBP302 implicit-cast: the column is converted, because the value it is compared with has another type.

`id = 1.5` and `id = $1::NUMERIC` on an integer column compare numerics: the server converts the column of
every row, and no index on it is used. Drivers name such types by themselves: of a Python `float` asyncpg
makes FLOAT, of a `Decimal` NUMERIC.

What to write instead: a value of the column's type. In SQL `id = CAST(:value AS bigint)`, in SQLAlchemy pass
an `int`, or `cast(value, Model.id.type)`; and declare the attribute with the type that its column has.

It needs the catalog, and an index that begins with the column. It is silent where one of PostgreSQL's
operator families serves both types: smallint, integer and bigint among each other; date, timestamp and
timestamptz; real and double precision; text and varchar. So it is for an integer compared with 1.5, which the
cast would make 2. Other databases convert by other rules, and are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from sqlglot import exp

from dbperf.advice.expressions import expression
from dbperf.advice.narrowing import narrowed
from dbperf.advice.reading import Finding, Reading
from dbperf.model.facts import ColumnRef, FilterFacts, TableRef
from dbperf.statements.tokens import is_postgres

CODE, SLUG = "DBP302", "implicit-cast"

_FLOATS: Final = {"real", "double precision"}
_INTEGER: Final = {"numeric", "oid"} | _FLOATS
CONVERTED: Final = {
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "numeric": _FLOATS,
    "character varying": {"character"},
    "character": {"text"},
    "citext": {"text", "character varying"},
    "time without time zone": {"time with time zone", "interval"},
}
"""Types of columns, and the types of values for which PostgreSQL converts the column."""
_NAMES: Final = {
    "bpchar": "character",
    "char": "character",
    "decimal": "numeric",
    "double": "double precision",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "nchar": "character",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "varchar": "character varying",
}
_NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE)
_CONSTANT: Final = (
    exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In, exp.Column, exp.Identifier, exp.Literal,
    exp.Cast, exp.DataType, exp.DataTypeParam, exp.Neg, exp.Paren,
)  # fmt: skip
_OPERATORS: Final = {"=", "<", "<=", ">", ">=", "between", "in", "any"}


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each indexed column compared with a value that it is converted for."""
    for each in reading.facts.filters if is_postgres(reading.statement.dialect) else ():
        if not each.why_not and each.operator in _OPERATORS and len(each.of) == 1 and each.clause == "where":
            column = each.of[0]
            if column.table and _converted(reading, each, column) and not _fraction(reading, each, column):
                yield _finding(reading, each, column.table, column)


def _converted(reading: Reading, condition: FilterFacts, column: ColumnRef) -> bool:
    stored = reading.column(column)
    if stored is None or _plain(condition.value_type) not in CONVERTED.get(_plain(stored.type), ()):
        return False
    found = narrowed(reading, column.table, condition.scope, besides=column.name)
    unimportant = found or reading.small([column.table])
    return reading.indexed(column) and not unimportant


def _fraction(reading: Reading, condition: FilterFacts, column: ColumnRef) -> bool:
    """Whether an integer is compared with a fraction: a cast would round that, and find other rows."""
    tree = expression(condition.sql, reading.statement.dialect) if _whole(reading, column) else None
    numbers = [each.name for each in tree.find_all(exp.Literal)] if tree else []
    return any(
        Decimal(each) != Decimal(each).to_integral_value() for each in numbers if _NUMBER.fullmatch(each)
    )


def _rounded(reading: Reading, condition: FilterFacts, column: ColumnRef) -> bool:
    """Whether the cast of an integer's value might round it: the value is no constant."""
    tree = expression(condition.sql, reading.statement.dialect) if _whole(reading, column) else None
    return _whole(reading, column) and not (tree and all(isinstance(node, _CONSTANT) for node in tree.walk()))


def _whole(reading: Reading, column: ColumnRef) -> bool:
    stored = reading.column(column)
    return stored is not None and stored.type in {"smallint", "integer", "bigint"}


def _plain(type_: str) -> str:
    """A type without its length, by the name that PostgreSQL prints; of an array that of its elements."""
    name = re.sub(r"\([^)]*\)|\[\]", "", type_).strip().lower()
    return _NAMES.get(name, name)


def _finding(reading: Reading, condition: FilterFacts, ref: TableRef, column: ColumnRef) -> Finding:
    stored = reading.column(column)
    type_, given = stored.type if stored else "", _plain(condition.value_type)
    # With its digits after the point it would round.
    wanted = "numeric" if type_.startswith("numeric") else type_
    rounded = _rounded(reading, condition, column)
    return Finding(
        title=f"{ref.name}.{column.name} is {type_}, and compared with {given}: no index serves that",
        why=f"{column.name} of every row is converted before {condition.sql} is judged",
        fix=f"give a value of the column's type: CAST(… AS {wanted}), in SQLAlchemy "
        f"cast(…, Model.{column.name}.type); or declare {column.name} as what it is",
        tables=(ref,),
        key=f"{ref.name}.{column.name}:{given}",
        risk="a fraction is rounded by the cast, and finds a row" if rounded else "",
    )
