"""What the rules on statements say without a catalog, of captured values, and of other databases."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import ColumnElement, String, select, table
from sqlalchemy import column as untyped
from sqlalchemy.dialects.postgresql import asyncpg, psycopg

from dbperf.advice.reading import Finding, Reading
from dbperf.advice.rules import (
    RULES,
    deep_offset,
    distinct_hides_fanout,
    function_on_column,
    implicit_cast,
    leading_wildcard,
    not_in_nullable,
    or_across_columns,
    select_star,
)
from dbperf.advice.statements import on_statements
from dbperf.model.catalog import Catalog, Column, Index, Table
from dbperf.model.workload import Sample, Workload
from dbperf.statements import analyze_statement
from dbperf.workload.sources.sql_files import given


def column(name: str) -> ColumnElement[str]:
    return untyped(name, String)


def read(
    rule: ModuleType, sql: str, *sent: Any, dialect: str = "postgresql", catalog: Catalog | None = None
) -> list[Finding]:
    statement = given(sql, dialect)
    if sent:
        statement = replace(statement, samples=tuple(Sample(sql, parameters) for parameters in sent))
    return list(rule.read(Reading(statement, analyze_statement(statement.sql, dialect), catalog)))


def catalog_of(table: Table) -> Catalog:
    return Catalog({table.qualified: table}, ("public",), "18.4", 180004, "shop")


def large(*columns: Column, indexes: tuple[Index, ...] = ()) -> Table:
    return Table(
        "public", "t", "r", 1e6, 10**9, 10**5, {column.name: column for column in columns}, indexes=indexes
    )


_EMAILS = catalog_of(large(Column("email", "text")))


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        (function_on_column, "SELECT 1 FROM t WHERE lower(email) = $1"),
        (leading_wildcard, "SELECT 1 FROM t WHERE name LIKE '%x%'"),
        (or_across_columns, "SELECT 1 FROM t JOIN u ON u.t_id = t.id WHERE t.a = $1 OR u.b = $2"),
        (not_in_nullable, "SELECT 1 FROM t WHERE id NOT IN (SELECT u.t_id FROM u)"),
        (deep_offset, "SELECT 1 FROM t ORDER BY id LIMIT 5 OFFSET 5000"),
        (distinct_hides_fanout, "SELECT DISTINCT t.id FROM t JOIN u ON u.t_id = t.id"),
    ],
)
def test_without_a_catalog_it_says_what_it_assumed(rule: ModuleType, sql: str) -> None:
    (finding,) = read(rule, sql)
    assert finding.assumed.startswith("that ")


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        (function_on_column, "SELECT 1 FROM t WHERE ours(email) = $1"),
        (function_on_column, "SELECT 1 FROM t WHERE id::text = $1"),
        (function_on_column, "SELECT 1 FROM t WHERE id = $1 AND lower(email) = $2"),
        (function_on_column, "SELECT 1 FROM t WHERE team_id = $1 AND lower(email) = $2"),
        (implicit_cast, "SELECT 1 FROM t WHERE id = 1.5"),
        (leading_wildcard, "SELECT 1 FROM t WHERE name LIKE $1"),
        (or_across_columns, "SELECT 1 FROM t WHERE a = $1 OR b = $2"),
        (not_in_nullable, "SELECT 1 FROM t WHERE t_id NOT IN (SELECT u.id FROM u)"),
        (deep_offset, "SELECT 1 FROM t ORDER BY id LIMIT 5 OFFSET $1"),
        (select_star, "SELECT * FROM t"),
        (distinct_hides_fanout, "SELECT DISTINCT t.id FROM t JOIN u ON u.id = t.u_id"),
    ],
)
def test_without_a_catalog_it_is_silent_when_in_doubt(rule: ModuleType, sql: str) -> None:
    assert read(rule, sql) == []


@pytest.mark.parametrize(
    ("condition", "open_start"),
    [
        (column("name").contains("x"), True),
        (column("name").contains("x", autoescape=True), True),
        (column("name").icontains("x"), True),
        (column("name").endswith("x"), True),
        (column("name").ilike("%x"), False),  # a parameter, and nothing captured
        (column("name").startswith("x"), False),
        (column("other").contains("x") & column("name").startswith("x"), False),
        (~column("name").contains("x"), False),
    ],
)
def test_patterns_of_sqlalchemy(condition: ColumnElement[bool], open_start: bool) -> None:
    for dialect in (psycopg.dialect(), asyncpg.dialect()):
        sql = str(select(column("id")).select_from(table("t")).where(condition).compile(dialect=dialect))
        found = read(leading_wildcard, sql)
        assert any(finding.key.startswith(("t.name", "t.lower(name)")) for finding in found) is open_start


def test_captured_patterns() -> None:
    sql = "SELECT 1 FROM t WHERE name LIKE $1"
    assert read(leading_wildcard, sql, ("smith%",), ("%smith%",))
    assert not read(leading_wildcard, sql, ("smith%",), (None,), ())


def test_captured_offsets() -> None:
    sql = "SELECT 1 FROM t ORDER BY id LIMIT $1 OFFSET $2"
    assert read(deep_offset, sql, (20, 100), (20, 9000))
    assert not read(deep_offset, sql, (20, 0), (20, 40), (20, None))


@pytest.mark.parametrize(
    ("order", "rewrite"),
    [
        ("name, id", "WHERE (name, id) > (:last_name, :last_id) ORDER BY name, id LIMIT"),
        ("id DESC", "WHERE id < :last_id ORDER BY id DESC LIMIT"),
        ("name", "add a unique column after name"),
        ("name DESC, id", "in an order that ends with a key"),
        ("lower(name), id", "in an order that ends with a key"),
    ],
)
def test_how_to_go_on_from_the_last_row(order: str, rewrite: str) -> None:
    (finding,) = read(deep_offset, f"SELECT 1 FROM t ORDER BY {order} LIMIT 5 OFFSET 5000")
    assert rewrite in finding.fix


def test_a_trigram_index_serves_a_pattern() -> None:
    trigrams = Index("ix", ("lower(name)",), method="gin")
    catalog = catalog_of(large(Column("name", "text"), indexes=(trigrams,)))
    assert not read(leading_wildcard, "SELECT 1 FROM t WHERE lower(t.name) LIKE '%x%'", catalog=catalog)
    assert read(leading_wildcard, "SELECT 1 FROM t WHERE name LIKE '%x%'", catalog=catalog)


def test_an_index_for_equality_and_one_for_a_pattern() -> None:
    found = [
        *read(function_on_column, "SELECT 1 FROM t WHERE lower(email) = $1", catalog=_EMAILS),
        *read(function_on_column, "SELECT 1 FROM t WHERE lower(email) LIKE 'a%'", catalog=_EMAILS),
    ]
    assert [finding.key for finding in found] == ["t.lower(email)", "t.lower(email) text_pattern_ops"]
    assert len({finding.ddl[0].split(" ON ")[0] for finding in found}) == 2
    assert 'text("(lower(email)) text_pattern_ops")' in found[1].fix


def test_a_text_as_a_number_may_find_more() -> None:
    catalog = catalog_of(large(Column("n", "integer")))
    (parameter,) = read(function_on_column, "SELECT 1 FROM t WHERE n::text = $1", catalog=catalog)
    (literal,) = read(function_on_column, "SELECT 1 FROM t WHERE n::text = '7'", catalog=catalog)
    assert "007" in parameter.risk
    assert not literal.risk


@pytest.mark.parametrize(
    ("condition", "found", "risk"),
    [
        ("n = 5.0", True, False),
        ("n = 1.5", False, False),
        ("n > 1e-3", False, False),
        ("n = CAST('1.5' AS numeric)", False, False),
        ("n BETWEEN 1.0 AND 2.5", False, False),
        ("n = $1::NUMERIC", True, True),
        ("n IN (1.0, 2.0)", True, False),
    ],
)
def test_a_fraction_is_not_made_an_integer(condition: str, found: bool, risk: bool) -> None:
    catalog = catalog_of(large(Column("n", "integer"), indexes=(Index("ix", ("n",)),)))
    findings = read(implicit_cast, f"SELECT 1 FROM t WHERE {condition}", catalog=catalog)
    assert bool(findings) is found
    assert any(finding.risk for finding in findings) is risk


def test_a_risk_of_one_statement_is_told_of_all() -> None:
    catalog = catalog_of(large(Column("n", "integer"), indexes=(Index("ix", ("n",)),)))
    asked = [given(f"SELECT 1 FROM t WHERE n = {value}", "postgresql") for value in ("5.0", "$1::NUMERIC")]
    facts = [(each, analyze_statement(each.sql, "postgresql")) for each in asked]
    (advised,) = on_statements(Workload(tuple(asked)), facts, catalog)
    assert "rounded" in advised.risk


def test_citext_is_converted_to_text() -> None:
    index = Index("ix", ("email",))
    catalog = catalog_of(large(Column("email", "citext"), indexes=(index,)))
    assert read(implicit_cast, "SELECT 1 FROM t WHERE email = $1::VARCHAR", catalog=catalog)
    assert not read(implicit_cast, "SELECT 1 FROM t WHERE email = $1::CITEXT", catalog=catalog)


@pytest.mark.parametrize("dialect", ["mysql", "sqlite", "mssql", "oracle"])
def test_no_advice_of_postgresql_for_others(dialect: str) -> None:
    statements = [
        "SELECT a FROM t WHERE lower(email) = 'x'",
        "SELECT a FROM t WHERE name LIKE '%x'",
        "SELECT a FROM t WHERE id = 1.5",
    ]
    for rule in RULES:
        for sql in statements if hasattr(rule, "read") else ():
            for finding in read(rule, sql, dialect=dialect):
                said = " ".join([finding.fix, *finding.ddl])
                assert not any(word in said for word in ("CONCURRENTLY", "trgm", "text_pattern_ops"))


@pytest.mark.parametrize(
    ("sql", "fix"),
    [
        ("SELECT 1 FROM t WHERE id NOT IN (SELECT a FROM u)", "FROM u WHERE u.a = t.id …"),
        ("SELECT 1 FROM t WHERE id NOT IN (SELECT a FROM t)", "FROM t t_2 WHERE t_2.a = t.id …"),
        ("SELECT 1 FROM t x WHERE x.id NOT IN (SELECT y.a FROM t y)", "FROM t y WHERE y.a = x.id …"),
        ("SELECT 1 FROM t, v WHERE id NOT IN (SELECT a FROM u)", "FROM u WHERE u.a = … …"),
    ],
)
def test_not_exists_means_the_column_outside(sql: str, fix: str) -> None:
    (finding,) = read(not_in_nullable, sql)
    assert fix in finding.fix
