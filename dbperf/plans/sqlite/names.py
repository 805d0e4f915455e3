"""Names without regard to case: in SQLite they are the same table and column, quoted or not."""

from __future__ import annotations

from dataclasses import replace

from dbperf.model.catalog import Catalog
from dbperf.model.facts import ColumnFacts, ColumnRef, SelectFacts, StatementFacts, SubqueryFacts, TableRef


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

    def named(given: ColumnRef) -> ColumnRef:
        table = ref(given.table) if given.table else None
        name = columns.get((table.name, given.name.lower()), given.name) if table else given.name
        return ColumnRef(table, name)

    def column(given: ColumnFacts) -> ColumnFacts:
        known = named(ColumnRef(given.table, given.name))
        uses = tuple(replace(use, nulls_first=None) for use in given.uses)
        return ColumnFacts(known.table, known.name, uses)

    def select(given: SelectFacts) -> SelectFacts:
        output = tuple(each and named(each) for each in given.output)
        return replace(given, tables=tuple(map(ref, given.tables)), output=output)

    def subquery(given: SubqueryFacts) -> SubqueryFacts:
        return replace(given, outer=tuple(map(named, given.outer)), output=tuple(map(named, given.output)))

    return replace(
        facts,
        tables=tuple(map(ref, facts.tables)),
        columns=tuple(map(column, facts.columns)),
        joins=tuple(replace(each, table=ref(each.table)) for each in facts.joins),
        filters=tuple(replace(each, of=tuple(map(named, each.of))) for each in facts.filters),
        selects=tuple(map(select, facts.selects)),
        subqueries=tuple(map(subquery, facts.subqueries)),
    )
