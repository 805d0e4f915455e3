from __future__ import annotations

import pytest

from dbperf.statements import template


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 'a', 1, 1.5, .5, -3, 1_000 FROM t", "SELECT $1, $2, $3, $4, $5, $6 FROM t"),
        ("SELECT  *\n FROM t -- secret\n WHERE /* x */ a = 'x'", "SELECT * FROM t WHERE a = $1"),
        ("a = $2 AND b = 'x'", "a = $2 AND b = $3"),
        ("a = $1 AND b = ''", "a = $1 AND b = $2"),
        ("a = $1 AND b = E'\\''", "a = $1 AND b = $2"),
        (
            "SELECT E'it\\'s', 'a''b', $$x$$, $t$y$t$, U&'z' UESCAPE '!', B'01', X'1f', N'n'",
            "SELECT $1, $2, $3, $4, $5, $6, $7, $8",
        ),
        ("SELECT 'a'\n'b'", "SELECT $1"),
        ("b > now() - INTERVAL '1 day'", "b > now() - $1::INTERVAL"),
        ("b > DATE '2020-01-01'", "b > $1::DATE"),
        ("b > timestamp(3) with time zone '2020-01-01'", "b > $1::timestamp(3) with time zone"),
        ("b AT TIME ZONE 'UTC'", "b AT TIME ZONE $1"),
        ("'1'::int", "$1::int"),
        ("SELECT x::numeric(10,2), CAST(y AS varchar(3)), z::int[3]", None),
        ("SELECT a FROM t ORDER BY 1, 2 DESC LIMIT 3", "SELECT a FROM t ORDER BY 1, 2 DESC LIMIT $1"),
        (
            "SELECT a, count(1) FROM t GROUP BY 1 HAVING count(1) > 2",
            "SELECT a, count(1) FROM t GROUP BY 1 HAVING count(1) > $1",
        ),
        (
            "SELECT f('d', x) FROM t GROUP BY f('d', x) ORDER BY f('d', x)",
            "SELECT f($1, x) FROM t GROUP BY f($1, x) ORDER BY f($1, x)",
        ),
        ("sum(CASE WHEN a THEN 1 ELSE -0.5 END)", "sum(CASE WHEN a THEN $1::int ELSE $2::numeric END)"),
        ("CREATE TABLE t (a numeric(10,2) DEFAULT 5)", None),
        ("ALTER ROLE x PASSWORD 'secret'", "ALTER ROLE x PASSWORD $1"),
        ("CALL f(42)", "CALL f($1)"),
        ("SELECT a IS NULL, TRUE, FALSE, data ? 'k'", "SELECT a IS NULL, TRUE, FALSE, data ? $1"),
        ("a LIKE'x'and b=1", "a LIKE $1 and b=$2"),
        ("a - 1 = b-1 AND c = -1", "a - $1 = b-$2 AND c = $3"),
        ("VALUES ($1,$2)", "VALUES ($1, $2)"),
        ("SELECT 1;", "SELECT $1"),
        ('SELECT "A  b" FROM "T"', None),
    ],
)
def test_literals_become_parameters(sql: str, expected: str | None) -> None:
    assert template(sql, "postgresql").sql == (expected or sql)


def test_other_dialects_have_question_marks() -> None:
    assert (
        template("SELECT $1, 'x' FROM [a b] WHERE c = 0x1f", "sqlite").sql
        == "SELECT ?, ? FROM [a b] WHERE c = ?"
    )
    assert template('SELECT "text" FROM `t`', "mysql").sql == "SELECT ? FROM `t`"
    assert template("SELECT 1", "no such dialect").sql == "SELECT ?"


@pytest.mark.parametrize("sql", ["SELECT 'open", "SELECT $$open", "SELECT '" + "x" * 70_000 + "'"])
def test_what_cannot_be_read_is_not_shown(sql: str) -> None:
    made = template(sql, "postgresql")
    assert made.sql == f"<SQL of {len(sql):,} characters, not shown>"
    assert made.redacted
    assert made.fingerprint == template(sql.replace(" ", "\n "), "postgresql").fingerprint
    assert len(made.fingerprint) == 16


SAME = [
    [
        "SELECT a FROM t WHERE b = 1",
        "select A\nfrom T where B = 'x' -- y\n;",
        "SELECT a FROM t WHERE b = -1",
        "SELECT a FROM t WHERE b = DATE '2020-01-01'",
        "SELECT a FROM t WHERE b = $1::INTEGER",
        "SELECT a FROM t WHERE b = $1::TIMESTAMP WITHOUT TIME ZONE",
        "SELECT a FROM t WHERE b = $1::pg_catalog.numeric(10, 2)[]",
    ],
    ["a IN (1)", "a IN (1, 2, NULL)", "a IN ($1::UUID, $2::UUID)"],
    ["(a, b) IN ((1, 2))", "(a, b) IN (($1, $2), ($3, $4))"],
    ["a = ANY(ARRAY[1])", "a = ANY(ARRAY[1, -2, $1])"],
    ["INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES ($1, NULL), (DEFAULT, $2)"],
    ["INSERT INTO t VALUES (1, lower('x'))", "INSERT INTO t VALUES ($1, lower($2)), (3, lower('y'))"],
    ["SAVEPOINT sa_savepoint_1", "savepoint sa_savepoint_27"],
]
DIFFERENT = [
    "SELECT a FROM t",
    "SELECT b FROM t",
    "SELECT a FROM s",
    'SELECT "A" FROM t',
    "SELECT a FROM t WHERE b = 1",
    "SELECT a FROM t WHERE b > 1",
    "SELECT a FROM t WHERE b IS NULL",
    "SELECT a FROM t WHERE b IN (1)",
    "SELECT a FROM t WHERE b IN (SELECT 1)",
    "SELECT a FROM t WHERE f(1) = 1",
    "SELECT a FROM t WHERE f(1, 2) = 1",
    "SELECT a FROM t WHERE b ? 'x'",
    "SELECT a::int FROM t",
    "SELECT a FROM t ORDER BY 1",
    "SELECT a FROM t ORDER BY 2",
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t VALUES (1, 2)",
    "INSERT INTO t VALUES (f(1))",
]


@pytest.mark.parametrize("same", SAME)
def test_one_fingerprint_for_one_statement(same: list[str]) -> None:
    assert len({template(sql, "postgresql").fingerprint for sql in same}) == 1


def test_another_statement_has_another_fingerprint() -> None:
    assert len({template(sql, "postgresql").fingerprint for sql in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("sql", [sql for same in SAME for sql in same] + DIFFERENT)
def test_a_template_is_its_own_template(sql: str) -> None:
    made = template(sql, "postgresql")
    again = template(made.sql, "postgresql")
    assert (again.sql, again.fingerprint, again.redacted) == (made.sql, made.fingerprint, False)


@pytest.mark.parametrize("text", ["(", "in (", "values (", "$1", "$1,", "::", "'", "/*", "?", "- "])
def test_text_made_to_hurt_is_read_in_one_pass(text: str) -> None:
    # Open brackets took 90 s while every bracket or list looked at all the text around it.
    assert len(template(text * (60_000 // len(text)), "postgresql").fingerprint) == 16


@pytest.mark.parametrize(
    ("sql", "other"),
    [
        ("SELECT u_1.id FROM u AS u_1", "SELECT u_2.id FROM u AS u_2"),
        (
            "SELECT count(*) AS count_1 FROM (SELECT a AS a_1 FROM t) AS anon_1",
            "SELECT count(*) AS count_2 FROM (SELECT a AS a_3 FROM t) AS anon_7",
        ),
        (
            "WITH RECURSIVE anon_1(id) AS (SELECT a UNION SELECT id FROM anon_1) SELECT id FROM anon_1",
            "WITH RECURSIVE anon_2(id) AS (SELECT a UNION SELECT id FROM anon_2) SELECT id FROM anon_2",
        ),
        ('SELECT "User_1".id FROM "User" AS "User_1"', 'SELECT "User_3".id FROM "User" AS "User_3"'),
        ("SELECT a FROM t WHERE a != 1", "SELECT a FROM t WHERE a <> 2"),
    ],
)
def test_numbers_of_aliases_do_not_split_a_statement(sql: str, other: str) -> None:
    assert template(sql, "postgresql").fingerprint == template(other, "postgresql").fingerprint


@pytest.mark.parametrize(
    ("sql", "other"),
    [
        ("SELECT a FROM log_1", "SELECT a FROM log_2"),
        ("SELECT a FROM log_1 AS log_1", "SELECT a FROM log_2 AS log_2"),
        ("SELECT b AS log_1 FROM log_1", "SELECT b AS log_2 FROM log_2"),
        ("SELECT a_1 FROM t", "SELECT a_2 FROM t"),
        ("SELECT t_1.a FROM t AS t_1, t AS t_2", "SELECT t_2.a FROM t AS t_1, t AS t_2"),
    ],
)
def test_numbers_of_tables_and_columns_do(sql: str, other: str) -> None:
    assert template(sql, "postgresql").fingerprint != template(other, "postgresql").fingerprint
