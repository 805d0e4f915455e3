"""DBP301 function-on-column: a function or cast around a column keeps an index on it from being used.

An index on `created_at` is sorted by `created_at` and knows nothing of `date(created_at)`: every row is read
and the function called for each.

What to write instead, in this order:

- the same condition on the bare column. For `date(created_at) = :day`
  `created_at >= :day AND created_at < :day + INTERVAL '1 day'`, in SQLAlchemy
  `Model.created_at >= day, Model.created_at < day + timedelta(days=1)`. So too for `created_at::date`,
  `date_trunc`, `extract(year …)`, for `coalesce` and for a sum that can move to the other side. Only where
  the text tells that the value is a day, a whole year or itself cut by `date_trunc`: `date(at) >= now()` is
  another condition;
- an index on the expression, where the function is immutable: `CREATE INDEX ON users (lower(email))`, in
  SQLAlchemy `Index("ix_users_lower_email", func.lower(User.email))`. The statement stays as it is.

It is silent where an index on the expression exists, on small tables, where an index on other columns finds
the few rows already, and where it knows neither of the two ways, unless the bare column is indexed.
Conditions below OR and NOT are not judged, nor those that no B-tree serves, nor databases other than
PostgreSQL and SQLite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbperf.advice.bare_conditions import bare_condition
from dbperf.advice.ddl import expression_index, expression_name
from dbperf.advice.expressions import bare, columns, immutable, is_call, served, unqualified
from dbperf.advice.narrowing import narrowed
from dbperf.advice.reading import Finding, Reading
from dbperf.model.facts import ColumnRef, ColumnUse, FilterFacts, Role, TableRef

CODE, SLUG = "DBP301", "function-on-column"
_WHYS = {"function on the column", "type cast on the column", "expression on the column"}
_RISK = "a value that is no such number is an error then, and one written otherwise (007) finds its row"
_SERVED = {Role.EQUALITY, Role.IN, Role.RANGE, Role.LIKE_PREFIX}


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each column that a condition wraps, where no index serves it as it stands."""
    for each in reading.facts.filters:
        if each.clause == "where" and each.why_not in _WHYS and len(each.of) == 1 and not each.aggregate:
            column, use = each.of[0], _use(reading, each)
            if column.table and use and _matters(reading, column, column.table, use):
                yield from _findings(reading, each, column.table, column, use)


def _use(reading: Reading, condition: FilterFacts) -> ColumnUse | None:
    """How the condition uses its column, if a B-tree on the expression would serve that."""
    for column in reading.facts.columns:
        for use in column.uses if ColumnRef(column.table, column.name) == condition.of[0] else ():
            inside = use.scope == condition.scope and use.expression and use.expression in condition.sql
            if inside and use.role in _SERVED and use.conjunct:
                return use
    return None


def _matters(reading: Reading, column: ColumnRef, ref: TableRef, use: ColumnUse) -> bool:
    table, stored = reading.table(ref), reading.column(column)
    dialect = reading.statement.dialect
    # A cast of varchar to text changes nothing: one operator class serves both.
    only_text = bare(use.expression, dialect) == column.name
    if columns(use.expression, dialect) != 1 or _after_outer_join(reading, use):
        return False
    if reading.small([ref]) or narrowed(reading, ref, use.scope):
        return False
    if table is None:
        return reading.catalog is None and not only_text
    if stored is None or table.kind not in "rmp" or served(table, use.expression, dialect):
        return False
    return not (only_text and stored.type.startswith(("text", "character varying", "varchar")))


def _findings(
    reading: Reading, condition: FilterFacts, ref: TableRef, column: ColumnRef, use: ColumnUse
) -> Iterator[Finding]:
    """The finding, if there is something better to write."""
    dialect, stored = reading.statement.dialect, reading.column(column)
    text = unqualified(use.expression, dialect)
    rewrite = bare_condition(condition.sql, dialect, stored)
    indexable = not rewrite and immutable(text, dialect, stored.type if stored else "")
    ddl = opclass = ""
    if rewrite:
        fix = f"compare the bare column: {rewrite}; in SQLAlchemy {_where(column, rewrite)}"
    elif indexable:
        opclass = "text_pattern_ops" if use.role is Role.LIKE_PREFIX else ""
        ddl = expression_index(reading, ref, text, opclass)
        fix = f"an index on the expression; in SQLAlchemy {_declaration(ref, column, text, opclass)}"
    elif reading.indexed(column) and is_call(text, dialect):
        fix = (
            f"compare {column.name} itself with a value or a range, or store what {text} gives and index that"
        )
    else:
        return
    yield Finding(
        title=f"{ref.name}: no index on {column.name} serves {condition.sql}",
        why=f"{text} is computed for each row that is read",
        fix=fix,
        tables=(ref,),
        # One index for = and another for LIKE are two findings.
        key=f"{ref.name}.{text} {opclass}".rstrip(),
        ddl=(ddl,) if ddl else (),
        assumed="" if reading.catalog else f"that {ref.name} is large and has no index on {text}",
        risk=_RISK if "CAST(" in rewrite and bare(use.expression, dialect) == column.name else "",
    )


def _after_outer_join(reading: Reading, use: ColumnUse) -> bool:
    """Whether the condition may be about rows that an outer join adds, as coalesce(…) then is."""
    outer = any(join.scope == use.scope and join.kind != "inner" for join in reading.facts.joins)
    return outer and use.expression.startswith("coalesce")


def _where(column: ColumnRef, rewrite: str) -> str:
    """The rewritten condition as SQLAlchemy has it, but for its values."""
    operators = re.findall(rf"\b{re.escape(column.name)} (IS NULL|[<>=]+)", rewrite)
    signs = {"=": " == …", "IS NULL": ".is_(None)"}
    parts = [f"Model.{column.name}{signs.get(each, f' {each} …')}" for each in operators]
    return f".where({', '.join(parts)})" if "IS NULL" not in operators else f".where(or_({', '.join(parts)}))"


def _declaration(ref: TableRef, column: ColumnRef, text: str, opclass: str) -> str:
    """The index as SQLAlchemy's models declare it."""
    if opclass:
        return f'Index("{expression_name(ref, f"{text} {opclass}")}", text("({text}) {opclass}"))'
    call = re.fullmatch(rf"(\w+)\({re.escape(column.name)}\)", text)
    key = f"func.{call[1]}(Model.{column.name})" if call else f'text("({text})")'
    return f'Index("{expression_name(ref, text)}", {key})'
