"""What a store remembers of facts is what they were."""

from __future__ import annotations

import pytest

from dbperf.plans.remembered import facts_from_json, facts_to_json
from dbperf.statements import analyze_statement

STATEMENTS = [
    "SELECT 1",
    "SELEC",
    "CREATE TABLE t (a int)",
    "SELECT u.*, a, 1, 'x' FROM users u LEFT JOIN s ON s.a = u.a WHERE s.b = 1.5 LIMIT $1 OFFSET 5",
    "SELECT a, sum(b) OVER (PARTITION BY c) FROM t, LATERAL (SELECT 1 FROM s WHERE s.a = t.a) l ORDER BY 1",
    "SELECT count(*) FROM t WHERE a IN (1, 2) AND b NOT IN (SELECT c FROM s) GROUP BY d HAVING max(e) > 3",
    "WITH c AS (SELECT DISTINCT a FROM t) SELECT a FROM c UNION ALL SELECT b FROM s FOR UPDATE",
    "SELECT a FROM t WHERE (SELECT count(*) FROM s WHERE s.a = t.a) > 0 AND b @> $1 AND c LIKE '%x%'",
    "UPDATE t SET a = (SELECT max(b) FROM s) FROM u WHERE u.a = t.a RETURNING t.id",
    "DELETE FROM t USING s WHERE s.a = t.a AND EXISTS (SELECT 1 FROM u)",
    "INSERT INTO t (a, b) SELECT a, b FROM s ORDER BY random()",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_facts_survive_json(sql: str) -> None:
    facts = analyze_statement(sql)
    assert facts_from_json(facts_to_json(sql, facts)) == (sql, facts)


def test_what_is_no_facts_is_none() -> None:
    assert facts_from_json('["SELECT 1"]') is None
    assert facts_from_json(None) is None
