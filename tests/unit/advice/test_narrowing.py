"""Tables of which an index finds few rows, also by way of another such table, in a time that stays short."""

from __future__ import annotations

from itertools import combinations
from time import process_time

import pytest

from dbperf.advice.narrowing import narrowed
from dbperf.advice.reading import Reading
from dbperf.statements import analyze_statement
from dbperf.workload.sources.sql_files import given


def _narrowed(sql: str, besides: str = "") -> bool:
    facts = analyze_statement(sql, "postgresql")
    assert facts.parsed
    return narrowed(Reading(given(sql, "postgresql"), facts), facts.tables[0], 0, besides)


@pytest.mark.parametrize(
    ("sql", "few"),
    [
        ("SELECT 1 FROM a WHERE a.id = $1", True),
        ("SELECT 1 FROM a WHERE a.name = $1", False),
        ("SELECT 1 FROM a JOIN b ON b.id = a.b_id", False),
        ("SELECT 1 FROM a JOIN b ON b.id = a.b_id WHERE b.id = 5", True),
        ("SELECT 1 FROM a JOIN b ON b.id = a.b_id WHERE b.name = 'x'", False),
        ("SELECT 1 FROM a JOIN b ON a.b_id = b.id JOIN c ON c.id = b.c_id WHERE c.id = 5", True),
        ("SELECT 1 FROM a JOIN b ON a.b_id = b.id JOIN c ON c.id = b.c_id JOIN d ON d.id = c.d_id", False),
        ("SELECT 1 FROM a x JOIN a y ON x.a_id = y.id WHERE y.id = 5", True),
    ],
)
def test_by_way_of_joins(sql: str, few: bool) -> None:
    assert _narrowed(sql) is few


def test_what_is_asked_of_the_column_itself_does_not_count() -> None:
    assert not _narrowed("SELECT 1 FROM a WHERE a.id = $1", besides="id")
    # Nor does what was found by way of it.
    assert not _narrowed("SELECT 1 FROM a JOIN b ON b.id = a.b_id WHERE a.id = $1", besides="id")


def test_many_joins_take_no_long_time() -> None:
    tables = ", ".join(f"t{n}" for n in range(9))
    joins = " AND ".join(f"t{one}.a = t{other}.b" for one, other in combinations(range(9), 2))
    start = process_time()
    assert not _narrowed(f"SELECT 1 FROM {tables} WHERE {joins}")
    assert process_time() - start < 0.5
