"""Findings on how statements are used, beside those of the plans."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dbperf.analysis import analyze
from dbperf.model.workload import Access, CallSite, Sample, Statement, Workload

PAGE = CallSite("/srv/blog/pages.py", 43, "page", 200)
LAZY = Access("lazy", "GET /users", PAGE, "selectinload(User.posts)", None, 2, 200, 10**8)


@pytest.fixture
def database(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "blog.db")) as connection:
        connection.execute("create table users (id integer primary key)")
        connection.execute("create table posts (id integer primary key, user_id integer)")
        connection.executemany(
            "insert into posts (user_id) values (?)", ((n % 2000,) for n in range(100_000))
        )
        connection.commit()
    return f"sqlite:///{tmp_path}/blog.db"


def statement(sql: str, seconds: float, *accesses: Access) -> Statement:
    return Statement(
        sql,
        sql[:40],
        "sqlite",
        "blog",
        200,
        execute_seconds=seconds,
        accesses=accesses,
        samples=(Sample(sql, (7,)),),
    )


def test_explained_or_not_a_statement_is_judged_by_its_use(database: str) -> None:
    broken = statement("SELECT id FROM nowhere WHERE id = $1", 0.1, LAZY)
    slow = statement("SELECT id FROM posts WHERE user_id = $1", 1.0, LAZY)
    report = analyze(Workload((slow, broken)), database)
    assert [each.code for each in report.recommendations] == ["DBP101", "DBP401"]
    index, usage = report.recommendations
    first, second = report.statements
    assert first.recommendations == (index.id, usage.id)
    assert second.recommendations == (usage.id,)
    assert first.verdict.startswith("missing index on (user_id)")
    assert first.verdict.endswith(f"; {usage.title}")
    assert second.verdict == f"not explained: no such table: nowhere; {usage.title}"
    assert usage.title == "User.posts is loaded one by one: 400 loads in 4 runs of GET /users"


def test_what_is_not_judged_says_nothing_of_its_use(database: str) -> None:
    slow = statement("SELECT id FROM posts WHERE id = $1", 1.0)
    report = analyze(
        Workload((slow, statement("SELECT id FROM users WHERE id = $1", 0.1, LAZY))), database, top=1
    )
    assert report.recommendations == ()
    assert report.statements[1].verdict.startswith("not judged: ")
