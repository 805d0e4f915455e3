from __future__ import annotations

import pytest

from dbperf.model.facts import ColumnUse, JoinFacts, Role, StatementFacts, TableRef
from dbperf.statements import analyze_statement


def uses(facts: StatementFacts, table: str, column: str) -> list[ColumnUse]:
    assert facts.parsed, facts.reason
    return [
        use
        for each in facts.columns
        if each.name == column and (each.table.name if each.table else "") == table
        for use in each.uses
    ]


EQ, RANGE, OTHER, JOIN = Role.EQUALITY, Role.RANGE, Role.OTHER, Role.JOIN


@pytest.mark.parametrize(
    ("condition", "expected", "why_not"),
    [
        ("a = $1", ColumnUse(EQ, parameter=1), ""),
        ("a = $1::int", ColumnUse(EQ, parameter=1), ""),
        ("a = CAST($1 AS int)", ColumnUse(EQ, parameter=1), ""),
        ("$1 = a", ColumnUse(EQ, parameter=1), ""),
        ("((a)) = ($2)", ColumnUse(EQ, parameter=2), ""),
        ("a = :x", ColumnUse(EQ, parameter=1), ""),
        ("a = %(x)s::VARCHAR", ColumnUse(EQ, parameter=1), ""),
        ("a = 'x'", ColumnUse(EQ, literal="x"), ""),
        ("a = -5", ColumnUse(EQ, literal="-5"), ""),
        ("a = DATE '2020-01-01'", ColumnUse(EQ, literal="2020-01-01"), ""),
        ("a", ColumnUse(EQ, literal="true"), ""),
        ("NOT a", ColumnUse(EQ, literal="false"), ""),
        ("a IS TRUE", ColumnUse(EQ, literal="true"), ""),
        ("a > $1", ColumnUse(RANGE, parameter=1), ""),
        ("a < now() - $1::interval", ColumnUse(RANGE), ""),
        ("a IN ($1, $2)", ColumnUse(Role.IN, parameter=1), ""),
        ("a = ANY($1::int[])", ColumnUse(Role.IN, parameter=1), ""),
        ("a = ANY(ARRAY[3, 4])", ColumnUse(Role.IN, literal="3"), ""),
        ("a LIKE 'abc%'", ColumnUse(Role.LIKE_PREFIX, literal="abc%"), ""),
        ("a LIKE $1", ColumnUse(Role.LIKE_PREFIX, parameter=1), ""),
        ("a LIKE $1 || '%' ESCAPE '/'", ColumnUse(Role.LIKE_PREFIX, parameter=1), ""),
        ("a LIKE '%x'", ColumnUse(Role.LIKE_SUFFIX, literal="%x"), "leading wildcard"),
        ("a LIKE '%' || $1", ColumnUse(Role.LIKE_SUFFIX, parameter=1), "leading wildcard"),
        ("a LIKE '%x\\%'", ColumnUse(Role.LIKE_SUFFIX, literal="%x\\%"), "leading wildcard"),
        ("a LIKE '%x%'", ColumnUse(Role.LIKE_INFIX, literal="%x%"), "leading wildcard"),
        ("a LIKE '%' || $1 || '%'", ColumnUse(Role.LIKE_INFIX, parameter=1), "leading wildcard"),
        ("a LIKE concat('%', $1::text, '%')", ColumnUse(Role.LIKE_INFIX, parameter=1), "leading wildcard"),
        ("a LIKE '%'", ColumnUse(Role.LIKE, literal="%"), "leading wildcard"),
        ("a LIKE '_x%'", ColumnUse(Role.LIKE, literal="_x%"), "leading wildcard"),
        ("a LIKE 'x%y%'", ColumnUse(Role.LIKE_PREFIX, literal="x%y%"), ""),
        ("a ILIKE 'abc%'", ColumnUse(Role.LIKE, literal="abc%"), "case-insensitive LIKE"),
        ("a ~ $1", ColumnUse(OTHER, parameter=1), "regular expression"),
        ("a IS NULL", ColumnUse(Role.IS_NULL), ""),
        ("a IS NOT NULL", ColumnUse(OTHER), ""),
        ("a <> $1", ColumnUse(OTHER, parameter=1), "negation"),
        ("a NOT LIKE 'x%'", ColumnUse(OTHER, literal="x%", conjunct=False), "negation"),
        ("a NOT ILIKE '%x' ESCAPE '!'", ColumnUse(OTHER, literal="%x", conjunct=False), "negation"),
        ("a NOT IN ($1)", ColumnUse(OTHER, parameter=1, conjunct=False), "negation"),
        ("NOT (a = $1)", ColumnUse(OTHER, parameter=1, conjunct=False), "negation"),
        ("a @> $1", ColumnUse(Role.CONTAINMENT, parameter=1), "operator that no B-tree serves"),
        ("$1 <@ a", ColumnUse(Role.CONTAINMENT, parameter=1), "operator that no B-tree serves"),
        ("a ? 'x'", ColumnUse(Role.CONTAINMENT, literal="x"), "operator that no B-tree serves"),
        ("a ?| $1", ColumnUse(Role.CONTAINMENT, parameter=1), "operator that no B-tree serves"),
        ("a ?& $1", ColumnUse(Role.CONTAINMENT, parameter=1), "operator that no B-tree serves"),
        ("a && $1::int[]", ColumnUse(Role.CONTAINMENT, parameter=1), "operator that no B-tree serves"),
        ("$1 = ANY(a)", ColumnUse(OTHER, parameter=1), "array column"),
        ("lower(a) = $1", ColumnUse(EQ, parameter=1, expression="lower(a)"), "function on the column"),
        ("a::date = $1", ColumnUse(EQ, parameter=1, expression="CAST(a AS DATE)"), "type cast on the column"),
        ("a + 1 = $1", ColumnUse(EQ, parameter=1, expression="a + 1"), "expression on the column"),
        (
            'a COLLATE "C" = $1',
            ColumnUse(EQ, parameter=1, expression='a COLLATE "C"'),
            "collation on the column",
        ),
        ("a = (SELECT max(x) FROM s)", ColumnUse(EQ), ""),
    ],
)
def test_a_condition_gives_a_role_and_says_whether_an_index_serves(
    condition: str, expected: ColumnUse, why_not: str
) -> None:
    facts = analyze_statement(f"SELECT 1 FROM t WHERE {condition}")
    assert uses(facts, "t", "a") == [expected]
    (filter_,) = [each for each in facts.filters if each.columns == ("t.a",)]
    assert filter_.why_not == why_not
    assert filter_.sargable is (not why_not)


A, B, C = TableRef("", "a"), TableRef("", "b"), TableRef("", "c")
X = (("a.x", "b.x"),)
BY_WHERE = JoinFacts("inner", B, X, "a.x = b.x", implicit=True)


def test_between_and_rows_bind_every_parameter() -> None:
    facts = analyze_statement(
        "SELECT 1 FROM t WHERE a BETWEEN $1 AND $2 AND (b, c) > ($3, $4) AND (d, e) IN (($5, $6))"
    )
    found = [(each.name, use.role, use.parameter) for each in facts.columns for use in each.uses]
    assert found == [
        ("a", RANGE, 1),
        ("a", RANGE, 2),
        ("b", RANGE, 3),
        ("c", RANGE, 4),
        ("d", Role.IN, 5),
        ("e", Role.IN, 6),
    ]


def test_or_is_no_conjunct() -> None:
    facts = analyze_statement("SELECT 1 FROM t WHERE a = 1 AND (b = 2 OR c = 3 AND d = 4)")
    assert {each.name: each.uses[0].conjunct for each in facts.columns} == {
        "a": True,
        "b": False,
        "c": False,
        "d": False,
    }
    assert [each.why_not for each in facts.filters] == ["", "OR"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a JOIN b ON b.x = a.y", [JoinFacts("inner", B, (("a.y", "b.x"),), "b.x = a.y")]),
        ("a, b WHERE a.x = b.x", [BY_WHERE]),
        ("a, b", [JoinFacts("cross", B, implicit=True)]),
        ("a CROSS JOIN b", [JoinFacts("cross", B)]),
        ("a LEFT JOIN b USING (x)", [JoinFacts("left", B, X, "USING (x)")]),
        ("a FULL JOIN b USING (x)", [JoinFacts("full", B, X, "USING (x)")]),
        ("a NATURAL JOIN b", [JoinFacts("inner", B, (), "NATURAL")]),
        (
            "a LEFT JOIN (b JOIN c ON b.x = c.x) ON a.y = b.y",
            [
                JoinFacts("inner", C, (("b.x", "c.x"),), "b.x = c.x"),
                JoinFacts("left", B, (("a.y", "b.y"),), "a.y = b.y"),
            ],
        ),
    ],
)  # fmt: skip
def test_joins(sql: str, expected: list[JoinFacts]) -> None:
    assert list(analyze_statement(f"SELECT 1 FROM {sql}").joins) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE a SET z = 1 FROM b WHERE a.x = b.x",
        "DELETE FROM a USING b WHERE a.x = b.x",
    ],
)
def test_writes_that_join(sql: str) -> None:
    assert list(analyze_statement(sql).joins) == [BY_WHERE]


def test_only_the_nullable_side_of_an_outer_join_is_a_conjunct() -> None:
    facts = analyze_statement("SELECT 1 FROM a LEFT JOIN b ON a.x = b.y AND b.k = $1 AND a.z = 3")
    assert uses(facts, "b", "y") == [ColumnUse(JOIN, other="a.x")]
    assert uses(facts, "b", "k") == [ColumnUse(EQ, parameter=1)]
    assert uses(facts, "a", "x") == [ColumnUse(JOIN, other="b.y", conjunct=False)]
    assert uses(facts, "a", "z") == [ColumnUse(EQ, literal="3", conjunct=False)]


def test_a_correlated_subquery_joins_in_its_own_scope() -> None:
    facts = analyze_statement(
        "SELECT u.id FROM users u "
        "WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND status = $1)"
    )
    assert uses(facts, "orders", "user_id") == [ColumnUse(JOIN, other="u.id", scope=1)]
    assert uses(facts, "users", "id")[1] == ColumnUse(JOIN, other="o.user_id", scope=1)
    assert uses(facts, "orders", "status") == [ColumnUse(EQ, parameter=1, scope=1)]


def test_in_subquery_is_a_join() -> None:
    facts = analyze_statement("SELECT 1 FROM t WHERE a IN (SELECT b FROM s)")
    assert uses(facts, "t", "a") == [ColumnUse(JOIN, other="s.b")]
    assert ColumnUse(JOIN, other="t.a", scope=1) in uses(facts, "s", "b")


def test_order_group_and_distinct() -> None:
    facts = analyze_statement(
        "SELECT a AS x, lower(b), count(*) AS n FROM t GROUP BY a, 2 "
        "ORDER BY x DESC, 2, c NULLS FIRST, n, d DESC NULLS LAST"
    )
    assert uses(facts, "t", "a")[1:] == [ColumnUse(Role.GROUP), ColumnUse(Role.ORDER, descending=True)]
    assert uses(facts, "t", "b")[1:] == [
        ColumnUse(Role.GROUP, expression="lower(b)", position=1),
        ColumnUse(Role.ORDER, expression="lower(b)", position=1),
    ]
    assert uses(facts, "t", "c") == [ColumnUse(Role.ORDER, nulls_first=True, position=2)]
    assert uses(facts, "t", "d") == [ColumnUse(Role.ORDER, descending=True, nulls_first=False, position=4)]
    assert not uses(facts, "t", "n")
    assert uses(analyze_statement("SELECT DISTINCT a FROM t"), "t", "a") == [
        ColumnUse(Role.SELECTED),
        ColumnUse(Role.DISTINCT),
    ]


def test_windows() -> None:
    facts = analyze_statement(
        "SELECT sum(a) OVER (PARTITION BY b, lower(c) ORDER BY d DESC), max(a) OVER w FROM t "
        "WINDOW w AS (ORDER BY t.b)"
    )
    assert [use.role for use in uses(facts, "t", "a")] == [Role.SELECTED, Role.SELECTED]
    assert uses(facts, "t", "a")[1].expression == "max(a) OVER w"
    assert uses(facts, "t", "b") == [ColumnUse(Role.WINDOW), ColumnUse(Role.WINDOW)]
    assert uses(facts, "t", "c") == [ColumnUse(Role.WINDOW, expression="lower(c)", position=1)]
    assert uses(facts, "t", "d") == [ColumnUse(Role.WINDOW, descending=True, position=2)]


def test_distinct_on_is_about_its_columns_alone() -> None:
    facts = analyze_statement("SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC")
    assert [use.role for use in uses(facts, "t", "a")] == [Role.SELECTED, Role.DISTINCT, Role.ORDER]
    assert [use.role for use in uses(facts, "t", "b")] == [Role.SELECTED, Role.ORDER]


def test_ordinals_count_columns_of_one_name() -> None:
    facts = analyze_statement("SELECT t.id, s.id, s.k FROM t JOIN s ON t.x = s.x ORDER BY 3, 2")
    assert uses(facts, "s", "k")[-1].role is Role.ORDER
    assert uses(facts, "s", "id")[-1].role is Role.ORDER


@pytest.mark.parametrize(
    ("sql", "kind", "tables", "read_only"),
    [
        ("SELECT 1", "select", [], True),
        ("SELECT * FROM t", "select", ["t"], True),
        ("TABLE t", "select", ["t"], True),
        ("VALUES (1)", "select", [], True),
        (
            "(SELECT 1 FROM a) UNION ALL SELECT 2 FROM s.b EXCEPT SELECT 1 FROM c",
            "select",
            ["a", "s.b", "c"],
            True,
        ),
        ("WITH x AS (SELECT 1 FROM a) SELECT * FROM x, b", "select", ["a", "b"], True),
        (
            "WITH RECURSIVE x AS (SELECT i FROM a UNION ALL SELECT i + 1 FROM x) SELECT * FROM x",
            "select",
            ["a"],
            True,
        ),
        (
            "SELECT (SELECT max(x) FROM a) FROM b, LATERAL (SELECT 1 FROM c) l",
            "select",
            ["c", "b", "a"],
            True,
        ),
        ("SELECT * FROM generate_series(1, 3) g, unnest($1::int[]) u", "select", [], True),
        ("SELECT * FROM ROWS FROM (f(1), g(2)) AS r", "select", [], True),
        ("SELECT * FROM a FOR UPDATE", "select", ["a"], False),
        ("SELECT * FROM a FOR SHARE", "select", ["a"], False),
        ("SELECT * INTO b FROM a", "select", ["a"], False),
        ("WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x", "select", ["a"], False),
        ("INSERT INTO a (x) SELECT y FROM b", "insert", ["a", "b"], False),
        ("UPDATE a SET x = 1 FROM b JOIN c ON b.i = c.i WHERE a.i = b.i", "update", ["a", "b", "c"], False),
        ("DELETE FROM a USING b WHERE a.i = b.i", "delete", ["a", "b"], False),
        ("MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DELETE", "merge", ["a", "b"], False),
        ("CREATE TABLE s.a (i int)", "ddl", ["s.a"], False),
        ("GRANT ALL ON a TO b", "ddl", [], False),
        ("BEGIN", "transaction", [], False),
        ("SAVEPOINT sa_savepoint_1", "transaction", [], False),
        ("EXPLAIN ANALYZE SELECT 1", "utility", [], False),
        ("SET LOCAL x = 1", "utility", [], False),
    ],
)
def test_kind_tables_and_read_only(sql: str, kind: str, tables: list[str], read_only: bool) -> None:
    facts = analyze_statement(sql)
    found = [f"{table.schema}.{table.name}".lstrip(".") for table in facts.tables]
    assert (facts.parsed, facts.kind, sorted(found), facts.read_only) == (
        True,
        kind,
        sorted(tables),
        read_only,
    )


def test_written_columns_know_their_parameters() -> None:
    insert = analyze_statement(
        "INSERT INTO t (a, b) VALUES ($1, 'x') "
        "ON CONFLICT (a) DO UPDATE SET b = excluded.b WHERE c > 1 RETURNING id"
    )
    assert uses(insert, "t", "a") == [ColumnUse(Role.WRITTEN, parameter=1), ColumnUse(OTHER)]
    assert uses(insert, "t", "c") == [ColumnUse(RANGE, literal="1")]
    update = analyze_statement("UPDATE t SET a = $1, b = b + 1 WHERE id = $2")
    assert uses(update, "t", "a") == [ColumnUse(Role.WRITTEN, parameter=1)]
    assert uses(update, "t", "id") == [ColumnUse(EQ, parameter=2)]


def test_columns_tell_whose_a_name_is() -> None:
    sql = "SELECT 1 FROM a JOIN s.b ON x = y WHERE z = $1 AND w = 2"
    known = {"a": {"x", "z"}, "s.b": {"y"}}
    facts = analyze_statement(sql, columns=known)
    assert uses(facts, "a", "x") == [ColumnUse(JOIN, other="b.y")]
    assert uses(facts, "a", "z") == [ColumnUse(EQ, parameter=1)]
    assert uses(facts, "", "w") == [ColumnUse(EQ, literal="2")]
    outer = analyze_statement("SELECT 1 FROM a WHERE EXISTS (SELECT 1 FROM s.b WHERE y = x)", columns=known)
    assert uses(outer, "a", "x") == [ColumnUse(JOIN, other="b.y", scope=1)]


def test_a_filter_on_a_derived_table_is_one_on_its_table() -> None:
    through = analyze_statement("SELECT 1 FROM (SELECT id AS i FROM t) AS q WHERE q.i = $1")
    assert uses(through, "t", "id")[-1] == ColumnUse(EQ, parameter=1)
    limited = analyze_statement("SELECT 1 FROM (SELECT id AS i FROM t LIMIT 3) AS q WHERE q.i = $1")
    assert uses(limited, "", "i") == [ColumnUse(EQ, parameter=1)]


FUNCTIONS = {
    "now()": ["now"],
    "pg_sleep(1), nextval('s'), random()": ["pg_sleep", "nextval", "random"],
    "set_config('a', 'b', false), dblink_exec('x')": ["set_config", "dblink_exec"],
    'my.f(1), "Mixed"(1), UPPER(a)': ["f", "Mixed", "upper"],
    "trim(a), substring(a FROM 1), EXTRACT(year FROM b)": ["btrim", "substring", "extract"],
    "date_trunc('day', b), count(*), gen_random_uuid()": ["date_trunc", "count", "gen_random_uuid"],
    "sum(a) OVER (ORDER BY lower(b))": ["sum", "lower"],
    "uuid(a), (SELECT max(x) FROM unnest(b) x)": ["uuid", "max", "unnest"],
    "coalesce(a, b), nullif(a, b), CAST(a AS int), a::int, current_timestamp": [],
    "CASE WHEN a THEN b END, x = ALL (ARRAY[1]), EXISTS (SELECT 1), ROW(1, 2), a AND b": [],
}


@pytest.mark.parametrize("calls", FUNCTIONS)
def test_functions_have_the_names_of_the_server(calls: str) -> None:
    facts = analyze_statement(f"SELECT {calls} FROM t")
    assert facts.parsed, facts.reason
    assert sorted(facts.functions) == sorted(FUNCTIONS[calls])


def test_limit_and_offset_are_of_the_outermost_query() -> None:
    facts = analyze_statement("SELECT * FROM (SELECT 1 FROM t LIMIT 1) q OFFSET 5")
    assert (facts.limit, facts.offset) == (False, True)
    assert analyze_statement("SELECT 1 UNION SELECT 2 FETCH FIRST 3 ROWS ONLY").limit


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "empty"),
        (" -- nothing\n ;", "empty"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT ((", "cannot be parsed"),
        ("SELECT 'secret", "cannot be split into tokens"),
        ("secret nonsense", "not a statement"),
        ("SELECT " + "(" * 31 + "1" + ")" * 31, "nested too deeply"),
        ("SELECT " + "ARRAY[" * 31 + "1" + "]" * 31, "nested too deeply"),
        ("SELECT * FROM a " + "JOIN b " * 31, "nested too deeply"),
        ("SELECT " + "NOT " * 5000 + "a FROM t", "nested too deeply"),
        ("SELECT '" + "x" * 70_000 + "'", "longer than 64 KB"),
    ],
)
def test_what_cannot_be_read_has_a_reason(sql: str, reason: str) -> None:
    facts = analyze_statement(sql)
    assert not facts.parsed
    assert facts.reason.startswith(reason)
    assert "secret" not in facts.reason


def test_brackets_in_strings_do_not_count() -> None:
    assert analyze_statement(f"SELECT '{'(' * 99}', \"{'[' * 50}\" FROM t").parsed


def test_other_dialects() -> None:
    facts = analyze_statement("SELECT [a] FROM t WHERE b = ? AND c IN (?, ?)", dialect="sqlite")
    assert uses(facts, "t", "b") == [ColumnUse(EQ, parameter=1)]
    assert uses(facts, "t", "c") == [ColumnUse(Role.IN, parameter=2)]
    assert facts.filters[0].sql == "b = $1"
    assert analyze_statement("SELECT `a` FROM t WHERE b = %s", dialect="mysql").parsed
    assert analyze_statement("SELECT a FROM t", dialect="no such dialect").parsed


def test_sqlglot_does_not_log_what_it_cannot_read(caplog: pytest.LogCaptureFixture) -> None:
    facts = analyze_statement("ALTER DEFAULT PRIVILEGES FOR ROLE secret GRANT ALL ON TABLES TO x")
    assert not facts.parsed
    assert not caplog.records
