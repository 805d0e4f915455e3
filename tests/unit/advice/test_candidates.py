"""Candidates of a statement, and whether an index already is one."""

from __future__ import annotations

import pytest

from dbperf.advice.indexes.candidates import candidates, exists
from dbperf.advice.subject import Subject
from dbperf.model.catalog import Column, Distribution, Index, Table
from dbperf.model.index import IndexKey, IndexSpec
from dbperf.model.workload import Statement
from dbperf.plans.parameters import ParameterSets
from dbperf.statements import analyze_statement


def column(name: str, type_: str = "integer", distinct: float = 100.0, **more: object) -> Column:
    return Column(name, type_, distribution=Distribution(distinct=distinct), **more)  # type: ignore[arg-type]


COLUMNS = (
    column("id"),
    column("owner", distinct=900.0),
    column("state", distinct=4.0),
    column("at", "timestamptz"),
    column("name", "text", collation="en_US.utf8"),
    column("code", "character(4)", collation="en_US.utf8"),
    column("place", "point", btree=False),
    column("body", "text", average_width=2000),
)
PRIMARY = Index("t_pkey", ("id",), unique=True, descending=(False,))
TABLE = Table("public", "t", "r", 1e6, 10**8, 12_000, {each.name: each for each in COLUMNS}, (PRIMARY,))


def of(sql: str) -> list[str]:
    facts = analyze_statement(sql, columns={"t": TABLE.columns.keys()})
    statement = Statement(sql, "f", "postgresql", "")
    subject = Subject(
        statement, facts, dict.fromkeys(facts.tables, TABLE), ParameterSets("generic"), (), 1000.0
    )
    return [", ".join(key.sql() for key in spec.keys) for spec in candidates(subject)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t WHERE state = 1 AND owner = 2", ["owner, state", "owner"]),
        (
            "SELECT * FROM t WHERE owner = 2 ORDER BY at DESC",
            ["owner, at", "owner", "at"],
        ),
        ("SELECT * FROM t ORDER BY owner, at DESC", ["owner, at DESC"]),
        ("SELECT * FROM t ORDER BY at DESC NULLS LAST", ["at DESC NULLS LAST"]),
        ("SELECT * FROM t WHERE owner = 1 AND at > now()", ["owner", "owner, at", "at"]),
        ("SELECT * FROM t WHERE owner = 1 OR state = 2", ["owner", "state"]),
        ("SELECT min(x.at) FROM t x", ["at"]),
        ("SELECT * FROM t WHERE name LIKE 'a%'", ["name text_pattern_ops"]),
        ("SELECT * FROM t WHERE code LIKE 'a%'", ["code bpchar_pattern_ops"]),
        ("SELECT * FROM t WHERE id = 1 AND owner = 2", ["owner, id", "owner"]),
        ("SELECT * FROM t WHERE id = 1 ORDER BY at", ["at"]),
        ("SELECT * FROM t WHERE place = '(1,1)'", []),
        ("SELECT * FROM t WHERE body = 'x'", []),
        ("SELECT * FROM t WHERE owner + 1 = 2 OR NOT state = 3", []),
        ("SELECT a.id FROM t a JOIN t b ON b.owner = a.id", ["owner"]),
        ("SELECT * FROM t WHERE at > now() ORDER BY lower(name)", ["at"]),
    ],
)
def test_candidates(sql: str, expected: list[str]) -> None:
    assert of(sql) == expected


def test_a_small_table_has_none() -> None:
    facts = analyze_statement("SELECT * FROM t WHERE owner = 1")
    small = Table("public", "t", "r", 100, 8192, 1, TABLE.columns)
    subject = Subject(
        Statement("", "f", "postgresql", ""),
        facts,
        {facts.tables[0]: small},
        ParameterSets("generic"),
        (),
        1.0,
    )
    assert candidates(subject) == ()


def spec(*keys: IndexKey) -> IndexSpec:
    return IndexSpec("public", "t", keys)


@pytest.mark.parametrize(
    ("keys", "index", "expected"),
    [
        ((IndexKey("owner"),), Index("i", ("owner", "at"), descending=(False, False)), True),
        ((IndexKey("at"),), Index("i", ("owner", "at"), descending=(False, False)), False),
        ((IndexKey("owner"),), Index("i", ("owner",), descending=(True,)), True),
        ((IndexKey("at", True, False),), Index("i", ("at",), descending=(False,)), False),
        (
            (IndexKey("owner"), IndexKey("at", True)),
            Index("i", ("owner", "at"), descending=(True, False)),
            True,
        ),
        (
            (IndexKey("owner"), IndexKey("at", True)),
            Index("i", ("owner", "at"), descending=(False, False)),
            False,
        ),
        ((IndexKey("owner"),), Index("i", ("owner",), descending=(False,), valid=False), False),
        ((IndexKey("owner"),), Index("i", ("owner",), descending=(False,), plain=False), False),
        ((IndexKey("name", opclass="text_pattern_ops"),), Index("i", ("name",), descending=(False,)), False),
    ],
)
def test_exists(keys: tuple[IndexKey, ...], index: Index, expected: bool) -> None:
    table = Table("public", "t", "r", 1e6, 10**8, 12_000, TABLE.columns, (index,))
    assert exists(spec(*keys), table) is expected
