"""A target that asks a store first: facts and plans that still hold need not be made again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, TypeVar

from cattrs import BaseValidationError
from cattrs.preconf.json import make_converter

from dbperf.errors import StoreError
from dbperf.model.facts import StatementFacts
from dbperf.model.plan import Plan, PlanNode
from dbperf.model.workload import Statement
from dbperf.plans.target import Target
from dbperf.plans.whatif import Build
from dbperf.statements import template
from dbperf.workload import values
from dbperf.workload.store import cache
from dbperf.workload.store.counts import statement_id

_MADE_BY = ("dbperf", "sqlglot")
_FORMAT = 2
"""Counts what facts have been made of: a checkout has the version of the release before it."""
_PLAIN = frozenset({"r", "m"})
"""Kinds of tables whose plan reads them and nothing else: no view, no partition."""

_T = TypeVar("_T")
_converter = make_converter(omit_if_default=True)


@contextmanager
def remembered(target: Target, store: str, statements: Sequence[Statement]) -> Iterator[Target]:
    """`target`, with what a store remembers of `statements`; what is new is kept when the block ends well.

    A plan holds as long as the tables it reads, with their indexes, statistics and sizes, the names of all
    tables and the planner's settings are what they were. Where the store fails, all is made again.
    """
    try:
        asking = _asking(target, store, statements)
    except StoreError:
        yield target
        return
    yield asking
    with suppress(StoreError):
        if asking.new_facts:
            cache.put_facts(store, asking.version, asking.new_facts)
        if asking.new_plans:
            cache.put_plans(store, target.catalog.database, asking.state, asking.new_plans)


def _asking(target: Target, store: str, statements: Sequence[Statement]) -> Remembered:
    asking = Remembered(target, cache.salt(store), statements)
    prints = [(each.fingerprint, each.dialect) for each in statements]
    asking.known_facts = cache.get_facts(store, asking.version, prints)
    if asking.state:
        ids = set(asking.ids.values())
        asking.known_plans = cache.get_plans(store, target.catalog.database, asking.state, ids)
    return asking


class Remembered:
    """See target.Target: the same, with a memory.

    `version` is what facts depend on besides the text, `state` what all plans depend on, "" where that is
    not known; `ids` are those of the statements, by each text that stands for one.
    """

    def __init__(self, target: Target, salt: bytes, statements: Sequence[Statement]) -> None:
        self._target, self._salt = target, salt
        self.catalog, self.unit = target.catalog, target.unit
        self.check_syntax, self.plan, self.executed = target.check_syntax, target.plan, target.executed
        self.ids = {each.sql: statement_id(each) for each in statements}
        self.ids |= {sample.sql: self.ids[each.sql] for each in statements for sample in each.samples}
        self._facts: dict[int, StatementFacts] = {}
        self.known_facts: dict[cache.Statement, str] = {}
        self.new_facts: dict[cache.Statement, str] = {}
        self.known_plans: dict[cache.Plan, str] = {}
        self.new_plans: dict[cache.Plan, str] = {}
        self._of_table = lru_cache(maxsize=None)(self._table)
        tables = sorted(self.catalog.tables.items())
        made_by = [*(version(each) for each in _MADE_BY), _FORMAT]
        self.version = self._hidden(made_by, self.catalog.search_path, [(n, [*t.columns]) for n, t in tables])
        settings = sorted(self.catalog.settings.items())
        server = (self.catalog.server_version, self.catalog.search_path, settings)
        self.state = self._hidden(made_by, server, [name for name, _ in tables]) if settings else ""

    def facts(self, statement: Statement) -> StatementFacts:
        """See Target.facts."""
        key = (statement.fingerprint, statement.dialect)
        known_facts = facts_from_json(self.known_facts.get(key))
        if known_facts and known_facts[0] == statement.sql:
            facts = known_facts[1]
        else:
            facts = self._target.facts(statement)
            self.new_facts[key] = facts_to_json(statement.sql, facts)
        if (known := self.ids.get(statement.sql)) is not None:
            self.ids.setdefault(facts.sql, known)
            self._facts[known] = facts
        return facts

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        """See Target.explain."""
        key = self._key(sql, parameters)
        if key is not None and (known := _read(self.known_plans.get(key), Plan)):
            return known
        plan = self._target.explain(sql, parameters)
        if key is not None and {scan.relation for scan in plan.scans()} <= self._named(key[0]):
            self.new_plans[key] = _converter.dumps(replace(plan, root=_without_values(plan.root)))
        return plan

    def build(self, environment: str) -> Build | None:
        """See Target.build."""
        return self._target.build(environment)

    def _key(self, sql: str, parameters: Sequence[Any] | None) -> cache.Plan | None:
        """What tells apart the plan of a text with these values on the tables as they are."""
        known = self.ids.get(sql)
        if known is None or known not in self._facts or not self.state:
            return None
        refs = self._facts[known].tables
        tables = [self._of_table(ref.schema, ref.name) for ref in refs]
        if not all(tables):
            return None
        try:
            bound = None if parameters is None else values.dumps(tuple(parameters))
        except TypeError:
            return None
        return known, self._hidden(sql, bound, tables)

    def _table(self, schema: str, name: str) -> str:
        """A table as the planner sees it; "" where that is more than the catalog tells."""
        table = self.catalog.find(schema, name)
        plain = table is not None and table.kind in _PLAIN and not table.partition_of
        return self._hidden(table) if plain else ""

    def _named(self, known: int) -> set[str]:
        return {ref.name for ref in self._facts[known].tables}

    def _hidden(self, *what: object) -> str:
        # With the store's own salt: what was bound is the application's data.
        return blake2b(
            repr(what).encode("utf-8", "backslashreplace"), key=self._salt, digest_size=16
        ).hexdigest()


def facts_to_json(sql: str, facts: StatementFacts) -> str:
    """What is kept of the facts of a text."""
    return json.dumps([sql, _converter.unstructure(facts)])


def facts_from_json(body: str | None) -> tuple[str, StatementFacts] | None:
    """A text and its facts, as they were kept; None where there are none that this dbperf reads."""
    return _read(body, tuple[str, StatementFacts])


def _read(body: str | None, kind: type[_T]) -> _T | None:
    """What was kept, None where it is nothing that this dbperf reads: it is made again."""
    try:
        return _converter.loads(body, kind) if body is not None else None
    except (BaseValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _without_values(node: PlanNode) -> PlanNode:
    """A node without what its statement was planned with: EXPLAIN repeats the values bound."""
    return replace(
        node,
        filter=_redacted(node.filter),
        condition=_redacted(node.condition),
        sort_key=tuple(map(_redacted, node.sort_key)),
        details=(),
        children=tuple(map(_without_values, node.children)),
    )


def _redacted(text: str) -> str:
    return template(text, "postgresql").sql if text else ""
