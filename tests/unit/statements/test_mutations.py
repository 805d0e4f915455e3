"""Statements broken in every way that is likely: whatever comes in, nothing raises.

500 of them; 10,000 with DBPERF_TESTS_WHOLE=1 in the environment.
"""

from __future__ import annotations

import os
import re
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbperf.statements import analyze_statement, canonical, split, template

EXAMPLES = 10_000 if os.environ.get("DBPERF_TESTS_WHOLE") else 500

STATEMENTS = [
    "SELECT u.id, u.email FROM users AS u JOIN orders o ON o.user_id = u.id WHERE o.status = 'open' LIMIT 10",
    "SELECT a, count(*) FILTER (WHERE b > 1) FROM t GROUP BY a HAVING sum(c) > 5 ORDER BY 2 DESC NULLS LAST",
    "SELECT x.* FROM (SELECT a, row_number() OVER (PARTITION BY b ORDER BY c) AS n FROM t) x WHERE n <= $1",
    "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT n FROM r",
    "SELECT a FROM t WHERE b IN ($1, $2) AND c = ANY(ARRAY[$3, $4]::int[]) AND d @> '{\"k\": 1}'::jsonb",
    "SELECT CASE WHEN a IS NULL THEN 'x' WHEN b THEN E'\\n' ELSE $$y$$ END FROM t, LATERAL f(t.a) AS g(z)",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a) OR NOT b LIKE '%x' FOR UPDATE NOWAIT",
    "SELECT DISTINCT ON (a) a, b::numeric(10, 2), c AT TIME ZONE 'UTC' FROM s.t TABLESAMPLE SYSTEM (1)",
    "(SELECT 1) UNION (SELECT 2 INTERSECT ALL SELECT 3) ORDER BY 1 OFFSET 5",
    "INSERT INTO t (a, b) VALUES (%(a)s, %(b)s), (1, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
    "INSERT INTO t SELECT * FROM u RETURNING id /* comment */",
    "UPDATE t SET a = :a, (b, c) = (SELECT 1, 2) FROM u WHERE u.id = t.id -- the end",
    "DELETE FROM t USING u WHERE t.id = u.id AND u.x > now() - interval '1 day'",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)",
    "CREATE TABLE t (id serial PRIMARY KEY, a varchar(20) DEFAULT 'x' REFERENCES u (a), CHECK (a <> ''))",
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t USING btree (lower(a), b DESC) INCLUDE (c) WHERE d IS NULL",
    "ALTER TABLE t ADD COLUMN a int, DROP CONSTRAINT b; SELECT 1",
    "SELECT `a`, [b c] FROM t WHERE a = ? AND b = ?",
    "SET search_path = a, public",
    "COPY t (a, b) FROM STDIN WITH (FORMAT csv)",
]
ALL = sorted({token for sql in STATEMENTS for token in re.findall(r"\s+|\w+|\W", sql)})
INSERTED = [
    *"()[]{};,.'\"`$:?%*@#!|&<>=\\/-+~^\0\t\n",
    *[
        "''",
        "$$",
        "$x$",
        "$1",
        "$1$2",
        "%s",
        "%(a)s",
        ":a",
        "::",
        "/*",
        "*/",
        "--",
        "E'",
        "U&'",
        "X'",
        "\\\n",
    ],
    *["é", "表", "\u2028", "\u00a0", "\ufeff", "\U0001f600", "\ud800", "ﬁ", "\u0131", "٣", "½"],
    *[
        "((((((((",
        "))))",
        "[[[[",
        "ARRAY[",
        "CASE ",
        "JOIN a ",
        "NOT ",
        "date(",
        "x::int(",
        "SELECT ",
        "UNION ",
    ],
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    sql = draw(st.sampled_from(STATEMENTS))
    chosen = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(1, 8))):
        sql = _mutated(sql, chosen)
    return sql


def _mutated(sql: str, chosen: Random) -> str:
    tokens = re.findall(r"\s+|\w+|\W", sql) or [" "]
    at, other = chosen.randrange(len(tokens)), chosen.randrange(len(tokens))
    match chosen.randrange(7):
        case 0:
            del tokens[at : at + chosen.choice((1, 1, 2, 9))]
        case 1:
            tokens[at:at] = tokens[at : at + chosen.choice((1, 3, 9))] * chosen.choice((1, 1, 2, 12))
        case 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        case 3:
            tokens[at] = chosen.choice(ALL)
        case 4:
            tokens.insert(at, chosen.choice(INSERTED))
        case 5:
            return sql[: chosen.randrange(len(sql) + 1)]
        case _:
            place = chosen.randrange(len(sql) + 1)
            return sql[:place] + chosen.choice(INSERTED) + sql[place:]
    return "".join(tokens)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    mutated(), st.sampled_from(["postgresql", "postgresql", "postgresql+asyncpg", "sqlite", "mysql", "mssql"])
)
def test_nothing_raises_on_a_broken_statement(sql: str, dialect: str) -> None:
    for style in ("auto", "pyformat", "format", "named", "numeric", "numeric_dollar", "qmark"):
        canonical(sql, style)
    for statement, line in split(sql):
        assert statement
        assert line >= 1
    made = template(sql, dialect)
    assert len(made.fingerprint) == 16
    for text in (sql, made.sql):
        facts = analyze_statement(text, dialect)
        assert facts.parsed != bool(facts.reason)
