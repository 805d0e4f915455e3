"""Names without regard to case: in SQLite they are the same table and column, quoted or not."""

from __future__ import annotations

from dataclasses import replace

from dbperf.model.catalog import Catalog
from dbperf.model.facts import ColumnFacts, StatementFacts, TableRef


def known_names(catalog: Catalog) -> dict[str, frozenset[str]]:
    """Column names by table, each as it was created and in lower case, as an unquoted name is read."""
    known: dict[str, frozenset[str]] = {}
    for table in catalog.tables.values():
        columns = frozenset(form for name in table.columns for form in (name, name.lower()))
        known |= dict.fromkeys((table.name, table.name.lower()), columns)
    return known


def spelled(facts: StatementFacts, catalog: Catalog) -> StatementFacts:
    """`facts` with tables and columns spelled as they were created; `main.` is left out.

    Where nulls sort is left out, too: no index of SQLite has it, and one serves either order.
    """
    tables = {table.name.lower(): table for table in catalog.tables.values()}
    columns = {
        (table.name, name.lower()): name for table in catalog.tables.values() for name in table.columns
    }

    def ref(given: TableRef) -> TableRef:
        known = tables.get(given.name.lower()) if given.schema in {"", "main"} else None
        return replace(given, schema="", name=known.name) if known else given

    def column(given: ColumnFacts) -> ColumnFacts:
        table = ref(given.table) if given.table else None
        name = columns.get((table.name, given.name.lower()), given.name) if table else given.name
        uses = tuple(replace(use, nulls_first=None) for use in given.uses)
        return replace(given, table=table, name=name, uses=uses)

    return replace(
        facts,
        tables=tuple(map(ref, facts.tables)),
        columns=tuple(map(column, facts.columns)),
        joins=tuple(replace(each, table=ref(each.table)) for each in facts.joins),
    )
