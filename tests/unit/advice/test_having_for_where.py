"""HAVING in MySQL, which has no server in the tests of rules."""

from __future__ import annotations

import pytest

from dbperf.advice.reading import Reading
from dbperf.advice.rules import having_for_where
from dbperf.statements import analyze_statement
from dbperf.workload.sources.sql_files import given


@pytest.mark.parametrize(
    ("dialect", "sql", "found"),
    [
        ("mysql", "SELECT a, count(*) FROM t GROUP BY a HAVING a = 4", True),
        ("mysql", "SELECT year(a) AS y, count(*) FROM t GROUP BY y HAVING y = 4", False),
        ("mysql", "SELECT a, count(*) AS n FROM t GROUP BY a HAVING n = 4", False),
        ("postgresql", "SELECT a, count(*) FROM t GROUP BY a HAVING a = 4", False),
        ("sqlite", "SELECT a, count(*) FROM t GROUP BY a HAVING a = 4", False),
        ("sqlite", "SELECT a, count(*) FROM t GROUP BY a HAVING a IN (SELECT b FROM s)", True),
    ],
)
def test_having(dialect: str, sql: str, found: bool) -> None:
    reading = Reading(given(sql, dialect), analyze_statement(sql, dialect))
    assert bool(list(having_for_where.read(reading))) is found
