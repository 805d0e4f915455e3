"""What analysis needs of the database that a workload is judged on: a contract, kept by two databases."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from dbperf.model.catalog import Catalog
from dbperf.model.facts import StatementFacts
from dbperf.model.plan import Plan
from dbperf.model.workload import Statement
from dbperf.plans.whatif import Build


@dataclass(frozen=True, slots=True)
class CostUnit:
    """What a plan's cost counts, and how much of it is worth an index."""

    name: str
    worthwhile: float
    """Statements that cost less ask for no index."""
    share: float
    """An index must take at least this share off the cost of one statement."""


SYNTAX_ERROR = "42601"
"""What a StatementError of a text that the database cannot read has as sqlstate, in SQLite too."""

PLANNER_COST = CostUnit("planner cost", worthwhile=100.0, share=0.2)
"""PostgreSQL's estimate; 100 units are about 100 pages read in a row."""


class Target(Protocol):
    """A connected database, and what it knows of its tables."""

    @property
    def catalog(self) -> Catalog:
        """Its tables, as they were when it was opened."""

    @property
    def unit(self) -> CostUnit:
        """What the costs of its plans are."""

    def facts(self, statement: Statement) -> StatementFacts:
        """What a statement means, with tables and columns named as the catalog names them."""

    def check_syntax(self, sql: str) -> None:
        """Have the database read one statement of any kind, without running it. Raises StatementError."""

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """Plan one statement, `$n` placeholders; None for a generic plan. Raises StatementError."""

    def plan(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """As `explain`, but nothing at all is executed: the plan may have no cost."""

    def executed(self, sql: str, parameters: Sequence[Any], timeout: float) -> Plan | None:
        """Run one statement, proven to have no side effect, for `timeout` seconds at most: its plan with what
        came of each node. None where the database does not tell. Raises StatementError.
        """

    def build(self, environment: str) -> Build | None:
        """What tries indexes here; None where nothing may be built in `environment`."""


def is_sqlite(url: str) -> bool:
    """Whether a target is a SQLite file, by its URL."""
    return re.match(r"sqlite(\+\w+)?:", url) is not None


def open_target(url: str) -> AbstractContextManager[Target]:
    """Connect to the database at `url`, a libpq string or SQLAlchemy URL, and read its catalog.

    Raises InputError or ConnectError, one line each; the latter also when the connection is lost later.
    """
    if is_sqlite(url):
        from dbperf.plans.sqlite.target import open_sqlite

        return open_sqlite(url)
    from dbperf.plans.postgres import open_postgres

    return open_postgres(url)


def alike(databases: Collection[str], database: str) -> set[str]:
    """Those of some databases, host/port/name each, that are `database`: by its address, or else, since one
    server has several, by its name.
    """
    name = database.rsplit("/", 1)[-1]
    for same in (database, f"/{name}"):
        if found := {each for each in databases if f"/{each}".endswith(same)}:
            return found
    return set()
