"""PostgreSQL as a target of analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from dbperf.errors import ConnectError
from dbperf.model.catalog import Catalog
from dbperf.model.facts import StatementFacts
from dbperf.model.plan import Plan
from dbperf.model.workload import Statement
from dbperf.plans.catalog import read_catalog
from dbperf.plans.connect import Connection, connect
from dbperf.plans.explain import check_syntax, explain, explain_executed, failure
from dbperf.plans.target import PLANNER_COST
from dbperf.plans.whatif.build import ENVIRONMENTS, BuildWhatIf
from dbperf.statements import analyze_statement


@contextmanager
def open_postgres(url: str) -> Iterator[PostgresTarget]:
    """See target.open_target."""
    connection = connect(url)
    try:
        catalog = read_catalog(connection)
        yield PostgresTarget(connection, catalog, _column_names(catalog))
    except psycopg.Error as error:
        raise ConnectError(str(failure(connection, error))) from None
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """See target.Target. `columns` are the names of the catalog's, by how a text may name their table."""

    connection: Connection
    catalog: Catalog
    columns: Mapping[str, frozenset[str]]
    unit = PLANNER_COST

    def facts(self, statement: Statement) -> StatementFacts:
        """See Target.facts."""
        return analyze_statement(statement.sql, statement.dialect, self.columns)

    def check_syntax(self, sql: str) -> None:
        """See Target.check_syntax."""
        check_syntax(self.connection, sql)

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """See Target.explain."""
        return explain(self.connection, sql, parameters)

    def plan(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """See Target.plan."""
        return explain(self.connection, sql, parameters)

    def executed(self, sql: str, parameters: Sequence[Any], timeout: float) -> Plan:
        """See Target.executed."""
        return explain_executed(self.connection, sql, parameters, round(timeout * 1000))

    def build(self, environment: str) -> BuildWhatIf | None:
        """See Target.build."""
        return BuildWhatIf(self.connection, environment) if environment in ENVIRONMENTS else None


def _column_names(catalog: Catalog) -> dict[str, frozenset[str]]:
    names = {qualified: frozenset(table.columns) for qualified, table in catalog.tables.items()}
    for schema in reversed(catalog.search_path):
        for table in catalog.tables.values():
            if table.schema == schema:
                names[table.name] = names[table.qualified]
    return names
