"""What a rule on the text of a statement (DBP3xx) judges, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbperf.advice.subject import is_large
from dbperf.model.catalog import Catalog, Column, Table
from dbperf.model.facts import ColumnRef, StatementFacts, TableRef
from dbperf.model.workload import Statement


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement as a rule reads it: what it means, how it ran, and the catalog of its database, None where
    no database was asked. A rule then says what it assumed.
    """

    statement: Statement
    facts: StatementFacts
    catalog: Catalog | None = None

    def table(self, ref: TableRef | None) -> Table | None:
        """The table that a text names, where the catalog has it."""
        return self.catalog.find(ref.schema, ref.name) if self.catalog and ref else None

    def column(self, ref: ColumnRef) -> Column | None:
        """A column with its type, where the catalog has it."""
        table = self.table(ref.table)
        return table.columns.get(ref.name) if table else None

    def indexed(self, ref: ColumnRef) -> bool:
        """Whether an index begins with the column; False also where that is not known."""
        table = self.table(ref.table)
        return table is not None and any(index.keys[:1] == (ref.name,) for index in table.indexes)

    def small(self, refs: Iterable[TableRef | None]) -> bool:
        """Whether all of these tables are known to be so small that nothing about them matters."""
        tables = [self.table(ref) for ref in refs]
        return bool(tables) and all(table is not None and self._is_small(table) for table in tables)

    def _is_small(self, table: Table) -> bool:
        behind = self.catalog.behind(table) if self.catalog else ()
        return bool(behind) and all(each.kind in "rm" and not is_large(each) for each in behind)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in a statement.

    `title` says what is wrong in a line, `why` what that costs or what happens, `fix` what to write instead:
    SQL, or SQLAlchemy where the application's code is to change. `key` is the same for the same finding in
    another statement, which it is then told together with (`users.lower(email)`); "" where a finding is of
    this statement alone. `assumed` is what was taken for true for want of a catalog.
    """

    title: str
    why: str
    fix: str
    tables: tuple[TableRef, ...] = ()
    key: str = ""
    ddl: tuple[str, ...] = ()
    assumed: str = ""
    risk: str = ""
