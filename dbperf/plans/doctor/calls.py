"""Recorded calls held against those that the server counted, statement by statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from dbperf.model.workload import Statement
from dbperf.statements.lexer import code
from dbperf.workload.sources.counters import Counters, comparable
from dbperf.workload.sources.pg_stat_statements import is_query


@dataclass(frozen=True, slots=True)
class Calls:
    """Of a statement, or of several that the server takes for one: calls that came to an end, how many more
    the server may have made of them, which counts each batch and each parameter set that a driver sends, and
    what it counted.
    """

    sql: str
    recorded: int
    more: int
    counted: int

    @property
    def missing(self) -> int:
        """Recorded and not counted."""
        return max(0, self.recorded - self.counted)

    @property
    def others(self) -> int:
        """Counted and not recorded."""
        return max(0, self.counted - self.recorded - self.more)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`calls` of so many statements, by `comparable`. Not compared are calls that `failed`, those of a text
    that is too `long`, and `commands` where the server does not count them.
    """

    calls: dict[str, Calls]
    statements: int
    failed: int
    long: int
    commands: int

    @property
    def recorded(self) -> int:
        """Calls that are compared."""
        return sum(each.recorded for each in self.calls.values())

    @property
    def missing(self) -> int:
        """Of these, those that the server did not count."""
        return sum(each.missing for each in self.calls.values())


def compare(statements: Collection[Statement], counters: Counters) -> Comparison:
    """Compare the statements recorded on a database with its counters."""
    long = [each for each in statements if each.sql.startswith("<")]  # a template that shows none of the text
    known = [each for each in statements if not each.sql.startswith("<")]
    commands = [each for each in known if not counters.commands and not is_query(code(each.sql))]
    left = [each for each in known if each not in commands and each.calls > failed(each)]
    return Comparison(
        _calls(left, counters),
        len({each.fingerprint for each in left}),
        failed=sum(map(failed, statements)),
        long=sum(each.calls - failed(each) for each in long),
        commands=sum(each.calls - failed(each) for each in commands),
    )


def failed(statement: Statement) -> int:
    """Calls that came to no good end: the server does not count those."""
    return statement.errors + statement.timeouts + statement.cancellations


def _calls(statements: Collection[Statement], counters: Counters) -> dict[str, Calls]:
    ended, more, texts = Counter[str](), Counter[str](), dict[str, str]()
    for each in statements:
        key = comparable(each.sql)
        ended[key] += each.calls - failed(each)
        more[key] += each.parameter_sets - each.calls
        texts[key] = each.sql
    return {key: Calls(texts[key], ended[key], more[key], counters.calls.get(key, 0)) for key in ended}
