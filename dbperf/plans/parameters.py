"""Parameter sets to plan a statement with.

A generic plan hides partial-index and LIKE-prefix wins, and NULLs under a custom plan give a false free
query, so a statement is costed with a few real sets: captured ones, else values of the columns' own
statistics (the most frequent, a rare one, points of the histogram), else generically, which is labelled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbperf.model.catalog import Catalog, Distribution
from dbperf.model.facts import ColumnFacts, ColumnUse, Role, StatementFacts
from dbperf.model.workload import Sample, Statement

MAX_SETS = 5

_PAGE = re.compile(r"\b(LIMIT|OFFSET)\s+\$(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"\$(\d+)")
_ANY = re.compile(r"\bSELECT\s+\$(\d+)(?:\s+AS\s+\w+)?\s+FROM\b", re.IGNORECASE)
"""The `1` of EXISTS (SELECT 1 FROM …), which a template has as a parameter: any value serves."""
_PAGE_VALUES = {"LIMIT": 20, "OFFSET": 0}
_BY_VALUE = frozenset({Role.EQUALITY, Role.IN, Role.RANGE, Role.IS_NULL, Role.JOIN})


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """What a statement is planned with. `origin`: captured, none, statistics or generic.

    `samples` is empty only when generic: then a plan is made without values, and nothing is timed.
    """

    origin: str
    samples: tuple[Sample, ...] = ()


def parameter_sets(statement: Statement, facts: StatementFacts, catalog: Catalog) -> ParameterSets:
    """The best sets to be had for `statement`, at most five."""
    if statement.samples:
        return ParameterSets("captured", _spread(statement.samples))
    sql = facts.sql  # where the statement's own text may have another style of placeholders
    count = max((int(number) for number in _NUMBER.findall(sql)), default=0)
    if not count:
        return ParameterSets("none", (Sample(sql),))
    choices = [_choices(number, sql, facts, catalog) for number in range(1, count + 1)]
    if not all(choices):
        return ParameterSets("generic")
    sets = max(len(values) for values in choices)
    made = [tuple(values[turn % len(values)] for values in choices) for turn in range(sets)]
    return ParameterSets("statistics", tuple(Sample(sql, each) for each in made[:MAX_SETS]))


def _spread(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    if len(samples) <= MAX_SETS:
        return tuple(samples)
    step = (len(samples) - 1) / (MAX_SETS - 1)
    return tuple(samples[round(turn * step)] for turn in range(MAX_SETS))


def _choices(number: int, sql: str, facts: StatementFacts, catalog: Catalog) -> list[Any]:
    """Values for `$number`, as the catalog has them; empty when nothing is known of it."""
    for word, page in _PAGE.findall(sql):
        if int(page) == number:
            return [_PAGE_VALUES[word.upper()]]
    if str(number) in _ANY.findall(sql):
        return [1]
    for column in facts.columns:
        for use in column.uses:
            if use.parameter == number:
                return _of_column(column, use, catalog)
    return []


def _of_column(column: ColumnFacts, use: ColumnUse, catalog: Catalog) -> list[Any]:
    table = catalog.find(column.table.schema, column.table.name) if column.table else None
    known = table.columns.get(column.name) if table else None
    values = typical_values(known.distribution) if known and known.distribution else []
    if use.role is Role.WRITTEN:  # what is written does not change the plan
        return values[:1] if known and known.not_null and values else [None]
    return [] if use.expression or use.role not in _BY_VALUE else values


def typical_values(distribution: Distribution) -> list[Any]:
    """A frequent value, a rare one and points of the histogram, as the catalog has them; distinct."""
    common = [value for value, _ in distribution.common]
    bounds = distribution.bounds
    picked = [*common[:1], *(bounds[len(bounds) * part // 4] for part in (1, 2, 3) if bounds), *common[-1:]]
    return list(dict.fromkeys(picked))
