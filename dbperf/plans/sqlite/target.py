"""A SQLite file as a target of analysis."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from dbperf.errors import StatementError
from dbperf.model.catalog import Catalog
from dbperf.model.facts import StatementFacts
from dbperf.model.plan import Plan, PlanNode
from dbperf.model.workload import Statement
from dbperf.plans.sqlite.catalog import read_catalog
from dbperf.plans.sqlite.copy import file_of, open_copy
from dbperf.plans.sqlite.explain import bound, count_steps, query_plan, refusals
from dbperf.plans.sqlite.names import known_names, spelled
from dbperf.plans.target import CostUnit
from dbperf.plans.whatif.copy import CopyWhatIf
from dbperf.statements import analyze_statement, canonical

VM_STEPS = CostUnit("VM steps", worthwhile=10_000.0, share=0.9)
"""10,000 steps take about 0.3 ms. An index lookup is few steps and yet a descent of a B-tree: measured on
100,000 and 500,000 rows in random order, an index that takes 8 times fewer steps is hardly faster, one that
takes 10 times fewer 1.6 times, one that takes 28 times fewer 3.9 times."""


@contextmanager
def open_sqlite(url: str) -> Iterator[SqliteTarget]:
    """See target.open_target."""
    path = file_of(url)
    with open_copy(path) as copy:
        copy.text_factory = _text
        catalog = read_catalog(copy, str(path))
        copy.text_factory = bytes  # what is counted or timed is not looked at
        copy.set_authorizer(_allowed)
        yield SqliteTarget(copy, catalog, known_names(catalog))


@dataclass(frozen=True, slots=True)
class SqliteTarget:
    """See target.Target. `columns` are the names of the catalog's, by how a text may name their table."""

    copy: sqlite3.Connection
    catalog: Catalog
    columns: Mapping[str, frozenset[str]]
    _known: dict[str, StatementFacts] = field(default_factory=dict)
    unit = VM_STEPS

    def facts(self, statement: Statement) -> StatementFacts:
        """See Target.facts."""
        return self._facts(statement.sql)

    def check_syntax(self, sql: str) -> None:
        """See Target.check_syntax."""
        text = _numbered(sql)
        with refusals():
            self.copy.execute(f"EXPLAIN {text}", bound(text, None)).close()

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """See Target.explain. The cost of a statement that reads nothing is 0: it is not executed."""
        if parameters is None:
            raise StatementError(_NO_VALUES)
        plan = self.plan(sql, parameters)
        if not plan.scans():
            return plan
        steps, rows = count_steps(self.copy, sql, parameters)
        return replace(plan, root=replace(plan.root, total_cost=float(steps), rows=float(rows)))

    def plan(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """See Target.plan."""
        facts = self._facts(sql)
        names = {(ref.alias or ref.name).lower(): ref.name for ref in reversed(facts.tables)}
        nodes = query_plan(self.copy, sql, parameters, names)
        writes = facts.kind in {"insert", "update", "delete"}
        root = PlanNode(
            kind="ModifyTable" if writes else "Query",
            relation=facts.tables[0].name if writes and facts.tables else "",
            children=nodes,
        )
        return Plan(root, generic=parameters is None)

    def executed(self, sql: str, parameters: Sequence[Any], timeout: float) -> None:
        """See Target.executed."""

    def build(self, environment: str) -> CopyWhatIf:  # noqa: ARG002  the copy is nobody's production
        """See Target.build."""
        return CopyWhatIf(self.copy, self.explain)

    def _facts(self, sql: str) -> StatementFacts:
        if sql not in self._known:
            self._known[sql] = spelled(
                analyze_statement(_numbered(sql), "sqlite", self.columns), self.catalog
            )
        return self._known[sql]


_NO_VALUES = "its steps cannot be counted, for no values of its parameters are known: record them, too"


def _numbered(sql: str) -> str:
    """A template with `$n` for `?`, which is no operator here."""
    return canonical(sql, "qmark").sql


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


_OUTSIDE = frozenset({"edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"})
_READ_ONLY_PRAGMAS = frozenset({"freelist_count", "page_count", "page_size"})


def _allowed(action: int, first: str | None, second: str | None, _database: Any, _trigger: Any) -> int:
    """The authorizer of all that is prepared on the copy: nothing reaches beyond it."""
    outside = (
        action in {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_CREATE_VTABLE}
        or (action == sqlite3.SQLITE_PRAGMA and (first not in _READ_ONLY_PRAGMAS or second is not None))
        or (action == sqlite3.SQLITE_FUNCTION and second in _OUTSIDE)
    )
    return sqlite3.SQLITE_DENY if outside else sqlite3.SQLITE_OK
