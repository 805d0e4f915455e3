"""The score of a statement: from 0 to 100, and never lowered by what is added."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbperf.model.facts import Complexity
from dbperf.statements import analyze_statement


def score(sql: str) -> int:
    facts = analyze_statement(sql)
    assert facts.parsed, (facts.reason, sql)
    return facts.complexity.score


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("SELECT 1", ()),
        ("SELECT a FROM t WHERE b = 1", (("conditions", 1),)),
        ("SELECT a FROM t WHERE b = 1 AND (c = 2 OR d = 3)", (("conditions", 3),)),
        ("SELECT a FROM t JOIN s ON s.x = t.x, u", (("joins", 2), ("conditions", 1))),
        ("SELECT DISTINCT a FROM t", (("groupings", 1),)),
        ("SELECT count(*) OVER () FROM t", (("windows", 1),)),
        ("SELECT 1 UNION SELECT 2 UNION ALL SELECT 3", (("set operations", 2),)),
        (
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM (SELECT x FROM s) d WHERE d.x = t.x)",
            (("subqueries", 2), ("nesting", 2), ("conditions", 2)),
        ),
        (
            "SELECT a FROM t WHERE a IN (SELECT 1 UNION SELECT 2 FROM s WHERE b = (SELECT 3))",
            (("subqueries", 2), ("nesting", 2), ("set operations", 1), ("conditions", 2)),
        ),
    ],
)
def test_parts(sql: str, parts: tuple[tuple[str, int], ...]) -> None:
    facts = analyze_statement(sql)
    assert {name: count for name, count in facts.complexity.parts.items() if count} == dict(parts)


def test_the_scale() -> None:
    assert score("SELECT 1") == 0
    assert score("SELECT a FROM t WHERE id = $1") == 2
    page = "SELECT * FROM o JOIN c ON c.id = o.c JOIN i ON i.o = o.id WHERE o.s = $1 ORDER BY o.id LIMIT 20"
    assert 15 <= score(page) <= 25
    many = " UNION ALL ".join(["SELECT count(*) FROM t WHERE a = 1"] * 50)
    assert score(many) == 99
    assert analyze_statement("CREATE TABLE t (a int)").complexity == Complexity()


@dataclass(frozen=True)
class Query:
    """A query by its parts, so that one may be added to it."""

    joins: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    windows: int = 0
    grouped: bool = False
    branches: tuple[str, ...] = ()

    def sql(self) -> str:
        outputs = ["t.a", *(f"rank() OVER (ORDER BY t.w{n}) AS w{n}" for n in range(self.windows))]
        joins = "".join(f" {each.format(n=n)}" for n, each in enumerate(self.joins))
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        group = " GROUP BY t.a" if self.grouped else ""
        first = f"SELECT {', '.join(outputs)} FROM t{joins}{where}{group}"
        return " ".join([first, *self.branches])


JOINS = st.sampled_from(
    [
        "JOIN s AS s{n} ON s{n}.a = t.a",
        "LEFT JOIN s AS s{n} ON s{n}.a = t.a AND s{n}.b = 1",
        "CROSS JOIN s AS s{n}",
        ", s AS s{n}",
        "JOIN (SELECT a FROM s) AS s{n} USING (a)",
        ", LATERAL (SELECT 1 FROM s WHERE s.a = t.a) AS s{n}",
    ]
)
CONDITIONS = st.sampled_from(
    [
        "t.b = 1",
        "(t.b = 1 OR t.c LIKE 'x')",
        "NOT (t.b = 1 AND t.c IS NULL)",
        "t.d IN (SELECT a FROM s)",
        "t.d NOT IN (SELECT a FROM s UNION SELECT b FROM s)",
        "EXISTS (SELECT 1 FROM s WHERE s.a = t.a AND s.b > (SELECT avg(b) FROM s))",
        "(SELECT count(*) FROM s WHERE s.a = t.a) > 0",
        "s0.z = 3",
    ]
)
BRANCHES = st.sampled_from(["UNION SELECT 1", "UNION ALL SELECT a FROM s", "EXCEPT SELECT a FROM s"])
QUERIES = st.builds(
    Query,
    joins=st.lists(JOINS, max_size=3).map(tuple),
    conditions=st.lists(CONDITIONS, max_size=3).map(tuple),
    windows=st.integers(0, 2),
    grouped=st.booleans(),
    branches=st.lists(BRANCHES, max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(QUERIES, JOINS, CONDITIONS, BRANCHES)
def test_what_is_added_never_lowers_the_score(query: Query, join: str, condition: str, branch: str) -> None:
    before = score(query.sql())
    assert 0 <= before <= 99
    for more in (
        replace(query, joins=(*query.joins, join)),
        replace(query, conditions=(*query.conditions, condition)),
        replace(query, windows=query.windows + 1),
        replace(query, grouped=True),
        replace(query, branches=(*query.branches, branch)),
    ):
        assert score(more.sql()) >= before, more.sql()
    nested = replace(query, branches=(*query.branches, branch)).sql()
    assert score(f"SELECT a FROM t WHERE a IN ({nested})") >= score(
        f"SELECT a FROM t WHERE a IN ({query.sql()})"
    )
    assert score(f"SELECT a FROM ({query.sql()}) AS q") >= before
    assert score(f"WITH q AS ({query.sql()}) SELECT a FROM q") >= before
