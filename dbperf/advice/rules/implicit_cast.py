"""DBP302 implicit-cast: the column is converted, because the value it is compared with has another type.

`id = 1.5` and `id = $1::NUMERIC` on an integer column compare numerics: the server converts the column of
every row, and no index on it is used. Drivers name such types by themselves: of a Python `float` asyncpg
makes FLOAT, of a `Decimal` NUMERIC.

What to write instead: a value of the column's type. In SQL `id = CAST(:value AS bigint)`, in SQLAlchemy pass
an `int`, or `cast(value, Model.id.type)`; and declare the attribute with the type that its column has.

It needs the catalog, and an index that begins with the column. It is silent where one of PostgreSQL's
operator families serves both types: smallint, integer and bigint among each other; date, timestamp and
timestamptz; real and double precision; text and varchar. Other databases convert by other rules, and are not
judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

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
_OPERATORS: Final = {"=", "<", "<=", ">", ">=", "between", "in", "any"}


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each indexed column compared with a value that it is converted for."""
    for each in reading.facts.filters if is_postgres(reading.statement.dialect) else ():
        if not each.why_not and each.operator in _OPERATORS and len(each.of) == 1 and each.clause == "where":
            column = each.of[0]
            if column.table and _converted(reading, each, column):
                yield _finding(reading, each, column.table, column)


def _converted(reading: Reading, condition: FilterFacts, column: ColumnRef) -> bool:
    stored = reading.column(column)
    if stored is None or _plain(condition.value_type) not in CONVERTED.get(_plain(stored.type), ()):
        return False
    found = narrowed(reading, column.table, condition.scope, besides=column.name)
    unimportant = found or reading.small([column.table])
    return reading.indexed(column) and not unimportant


def _plain(type_: str) -> str:
    """A type without its length, by the name that PostgreSQL prints; of an array that of its elements."""
    name = re.sub(r"\([^)]*\)|\[\]", "", type_).strip().lower()
    return _NAMES.get(name, name)


def _finding(reading: Reading, condition: FilterFacts, ref: TableRef, column: ColumnRef) -> Finding:
    stored = reading.column(column)
    type_, given = stored.type if stored else "", _plain(condition.value_type)
    return Finding(
        title=f"{ref.name}.{column.name} is {type_}, and compared with {given}: no index serves that",
        why=f"{column.name} of every row is converted before {condition.sql} is judged",
        fix=f"give a value of the column's type: CAST(… AS {type_}), in SQLAlchemy "
        f"cast(…, Model.{column.name}.type); or declare {column.name} as what it is",
        tables=(ref,),
        key=f"{ref.name}.{column.name}:{given}",
    )
