"""DBP307 select-star: SELECT * takes all columns of a wide table.

Wide values are read (those over 2 kB from another table, one by one), sent and decoded, whether the
application looks at them or not. An index alone can never serve such a statement.

What to write instead: the columns that are wanted. In SQLAlchemy `select(Post.id, Post.title)`, or for
entities `.options(load_only(Post.id, Post.title))`; a column that is seldom read can be declared
`mapped_column(deferred=True)`.

It needs the catalog. It tells of tables whose rows are 1 kB wide on average, that have 30 columns or more, or
a column of JSON, text or bytes of 500 bytes or more on average (a value that PostgreSQL stores apart counts
as a pointer). It is silent where one row is looked up, on small tables, for a star within another query, and
for entities: SQLAlchemy writes their columns out.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rows import at_most_one, label
from dbperf.model.catalog import Column, Table
from dbperf.model.facts import SelectFacts, TableRef

CODE, SLUG = "DBP307", "select-star"
WIDE_ROW, WIDE_COLUMN, MANY_COLUMNS = 1000, 500, 30
_LONG = ("json", "bytea", "text", "character varying", "xml", "blob", "varchar")


def read(reading: Reading) -> Iterator[Finding]:
    """A finding for each wide table of which the statement puts out all columns."""
    select = next(iter(reading.facts.selects), None)
    if select is None or reading.facts.kind != "select" or (select.limit and select.limit.number == 1):
        return
    for ref in select.tables:
        table = reading.table(ref)
        starred = {"*", label(ref)} & set(select.stars)
        if table and starred and _wide(table) and not _harmless(reading, ref, select):
            yield _finding(ref, table)


def _wide(table: Table) -> bool:
    columns = table.columns.values()
    return (
        sum(each.average_width for each in columns) >= WIDE_ROW
        or len(columns) >= MANY_COLUMNS
        or any(map(_is_wide, columns))
    )


def _is_wide(column: Column) -> bool:
    return column.average_width >= WIDE_COLUMN and column.type.lower().startswith(_LONG)


def _harmless(reading: Reading, ref: TableRef, select: SelectFacts) -> bool:
    return reading.small([ref]) or at_most_one(reading, ref, select.scope)


def _finding(ref: TableRef, table: Table) -> Finding:
    columns = sorted(table.columns.values(), key=lambda each: -each.average_width)
    width = sum(each.average_width for each in columns)
    widest = ", ".join(f"{each.name} ({each.average_width:,} B)" for each in columns[:3])
    return Finding(
        title=f"SELECT * takes all {len(columns)} columns of {ref.name}, {width:,} bytes a row",
        why=f"the widest are {widest}",
        fix="name the columns that are read; in SQLAlchemy select(Model.id, …) or "
        f".options(load_only(…)), and mapped_column(deferred=True) for {columns[0].name}",
        tables=(ref,),
    )
