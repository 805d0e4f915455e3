"""What the rules DBP4xx say of the accesses of a workload, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbperf.advice.round_trip import RoundTrip, round_trip
from dbperf.advice.usage import on_usage
from dbperf.model.histogram import Latency, bucket_of
from dbperf.model.recommendation import Level, Recommendation, Severity
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Statement, Workload

MS = 1_000_000
BY_OWNER = "SELECT posts.id, posts.title FROM posts WHERE $1 = posts.user_id"
PAGE = CallSite("/srv/blog/pages.py", 43, "page", 100)
QUERY = CallSite("/srv/blog/pages.py", 40, "page", 1)
OTHER = CallSite("/srv/blog/mail.py", 7, "send", 100)

LAZY = Access("lazy", "GET /users", PAGE, "selectinload(User.posts)", QUERY, 2, 100, 200 * MS)
LOOP = replace(LAZY, kind="loop", loader="", parent=None)
AGAIN = replace(LOOP, kind="again")
EAGER = replace(LAZY, kind="eager", operation="", parent=None)


def latency(milliseconds: float, calls: int) -> Latency:
    return Latency.of({bucket_of(int(milliseconds * MS)): calls})


def statement(sql: str, *accesses: Access, **more: object) -> Statement:
    base = Statement(sql, sql, "postgresql", "shop", 100, execute_seconds=0.2, latency=latency(2, 100))
    return replace(base, accesses=accesses, **more)  # type: ignore[arg-type]


def workload(*statements: Statement, pings: int = 100) -> Workload:
    ping = Figure.of("pool", "QueuePool", "shop", {f"ping.{bucket_of(MS)}": pings, "pings": pings})
    return Workload(statements, figures=(ping,))


def found(*accesses: Access, sql: str = BY_OWNER, **more: object) -> list[Recommendation]:
    return list(on_usage(workload(statement(sql, *accesses, **more))))


def test_a_relationship_loaded_one_by_one() -> None:
    (only,) = found(LAZY)
    assert (only.id, only.code, only.slug) == (
        "DBP401:selectinload(User.posts)@blog/pages.py:page",
        "DBP401",
        "n-plus-one",
    )
    assert only.title == "User.posts is loaded one by one: 100 loads in 2 runs of GET /users"
    assert only.fix == (
        "in /srv/blog/pages.py:40 add .options(selectinload(User.posts)) to the query that loads the parents"
    )
    assert only.call_sites == (PAGE, QUERY.at(0))
    assert only.tables == ("posts",)
    assert only.severity is Severity.ERROR
    (evidence,) = only.evidence
    assert evidence.seconds_saved == pytest.approx(0.098, rel=0.07)
    assert (evidence.cost_before, evidence.seconds_before) == (None, None)
    assert evidence.usage.startswith(
        "100 executions in 2 runs of GET /users took 200 ms; 98 round trips fewer"
    )
    assert only.verification.level is Level.ESTIMATED
    assert "pings of the pool" in only.verification.method


def test_operations_and_lines_of_one_function_are_one_finding() -> None:
    elsewhere = replace(LAZY, operation="GET /teams", site=replace(PAGE, line=50), operations=1)
    (only,) = found(LAZY, elsewhere)
    assert only.title == (
        "User.posts is loaded one by one: 200 loads in 3 runs of GET /users and 1 other operation"
    )
    assert [each.line for each in only.call_sites] == [43, 50, 40]
    assert len(found(LAZY, replace(LAZY, site=OTHER))) == 2
    (only,) = found(replace(LAZY, operation="", operations=4))
    assert only.title.endswith("100 loads in 4 uses of a connection")


def test_a_lazy_load_of_what_was_loaded_lazily_is_loaded_with_it() -> None:
    inner = replace(
        LAZY, loader="joinedload(Post.author)", site=replace(PAGE, line=44, function="author"), parent=PAGE
    )
    assert [each.fix for each in found(LAZY, inner) if "author" in each.id] == [
        "in /srv/blog/pages.py:40 add .options(selectinload(User.posts).joinedload(Post.author)) "
        "to the query that loads the parents"
    ]


@pytest.mark.parametrize(
    ("loader", "title", "fix"),
    [
        ("undefer(User.bio)", "User.bio is loaded one by one", ".options(undefer(User.bio))"),
        (
            "selectin_polymorphic(Employee, [Manager])",
            "the columns of Manager are loaded one by one",
            ".options(selectin_polymorphic(Employee, [Manager]))",
        ),
        ("expire_on_commit=False", "expired posts is read again one by one", "expire_on_commit=False"),
        (
            "select(User).execution_options(populate_existing=True)",
            "User is refreshed one by one",
            "session.execute(select(User).execution_options(populate_existing=True).where(…))",
        ),
    ],
)
def test_columns(loader: str, title: str, fix: str) -> None:
    (only,) = found(replace(LAZY, kind="column", loader=loader))
    assert only.title.startswith(title)
    assert fix in only.fix


def test_a_loop() -> None:
    (only,) = found(LOOP)
    assert only.id == f"DBP401:{BY_OWNER}@blog/pages.py:page"
    assert only.title == "posts is read one by one: 100 statements in 2 runs of GET /users"
    assert only.fix == (
        "in /srv/blog/pages.py:43 read all at once: WHERE posts.user_id IN (…) in one statement"
    )


@pytest.mark.parametrize(
    ("access", "sql"),
    [
        (LOOP, "INSERT INTO posts (user_id) VALUES ($1)"),
        (LOOP, "UPDATE posts SET title = $1 WHERE id = $2"),
        (LOOP, "SELECT id FROM posts WHERE user_id IN ($1)"),
        (LOOP, "SELECT id FROM posts WHERE user_id = ANY ($1)"),
        (LOOP, "SELECT id FROM posts WHERE id > $1 ORDER BY id LIMIT $2"),
        (LOOP, "SELECT id FROM posts WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3"),
        (LOOP, "SELECT id FROM posts WHERE user_id = $1 FOR UPDATE"),
        (LOOP, "SELECT nextval($1)"),
        (LOOP, "SELECT id FROM posts WHERE user_id = 7"),
        (replace(LOOP, calls=9), BY_OWNER),  # below 5 on average
        (replace(LAZY, calls=5), BY_OWNER),  # below 3 on average
    ],
)
def test_no_loop(access: Access, sql: str) -> None:
    assert found(access, sql=sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM posts WHERE user_id = $1",
        "SELECT id FROM posts WHERE user_id = $1 AND at > $2",
        "SELECT id FROM posts WHERE lower(title) = $1",
        "SELECT id FROM posts WHERE user_id = $1 ORDER BY id DESC LIMIT 1",
        "SELECT p.id FROM posts p JOIN users u ON u.id = p.user_id WHERE u.name = $1",
    ],
)
def test_loops(sql: str) -> None:
    assert [each.code for each in found(LOOP, sql=sql)] == ["DBP401"]


def test_the_same_again() -> None:
    (only,) = found(AGAIN)
    assert only.id == f"DBP402:{BY_OWNER}@blog/pages.py:page"
    assert only.title == "posts is asked the same again: 100 repetitions in 2 runs of GET /users"
    assert only.evidence[0].seconds_saved == pytest.approx(0.1, rel=0.07)


@pytest.mark.parametrize(
    ("accesses", "sql"),
    [
        ([replace(AGAIN, calls=2)], BY_OWNER),
        ([AGAIN], "SELECT 1"),
        ([AGAIN], "SELECT id FROM posts WHERE at < now()"),
        ([AGAIN], "SELECT id FROM posts WHERE user_id = $1 FOR UPDATE"),
        ([AGAIN], "SELECT pg_try_advisory_lock(id) FROM posts"),
        ([AGAIN], "UPDATE posts SET title = $1"),
    ],
)
def test_not_the_same_again(accesses: list[Access], sql: str) -> None:
    assert found(*accesses, sql=sql) == []


def test_a_loop_that_repeats_itself_is_one_finding() -> None:
    assert [each.code for each in found(AGAIN, LOOP)] == ["DBP401"]
    assert {each.code for each in found(replace(AGAIN, site=OTHER), LOOP)} == {"DBP401", "DBP402"}


def test_rows_that_nobody_reads() -> None:
    rows = {"rows": 500_000, "unread_rows": 499_900, "fetch_seconds": 0.4}
    (only,) = found(sql="SELECT id FROM posts", call_sites=(PAGE,), **rows)
    assert (only.code, only.fix) == ("DBP403", "in /srv/blog/pages.py:43 add .limit(1)")
    assert only.title == "posts: of 5,000 rows a call 4,999 are never read"
    assert only.evidence[0].seconds_saved == pytest.approx(0.4, rel=0.01)
    assert found(sql="SELECT id FROM posts LIMIT 5000", call_sites=(PAGE,), **rows) == []
    assert found(sql="SELECT id FROM posts", rows=10_000, unread_rows=9_000) == []  # 90 a call
    assert found(sql="SELECT id FROM posts", rows=500_000, unread_rows=400_000) == []
    (some,) = found(sql="SELECT id FROM posts", rows=500_000, unread_rows=498_000)
    assert some.fix == "add a LIMIT (about 20 rows a call are read) or a WHERE"


def test_a_relationship_that_nobody_reads() -> None:
    (only,) = found(replace(EAGER, calls=5))
    assert only.id == "DBP403:User.posts"
    assert only.title == "User.posts is loaded along and never read, 5 times"
    assert only.fix == "in /srv/blog/pages.py:43 leave selectinload(User.posts) out of the query"
    assert only.evidence[0].seconds_saved is not None
    below = replace(EAGER, loader="selectinload(User.posts).joinedload(Post.author)")
    (joined,) = found(below)
    assert joined.id == "DBP403:Post.author"
    assert joined.fix.endswith(" leave joinedload(Post.author) out of the query")
    assert joined.evidence[0].seconds_saved is None
    assert [each.id for each in found(EAGER, below)] == ["DBP403:User.posts"], "it comes with what is unread"
    (declared,) = found(replace(EAGER, loader='relationship(lazy="selectin") of User.posts'))
    assert declared.fix.endswith(
        'add .options(lazyload(User.posts)) to the query, or declare it without lazy="selectin"'
    )


def test_a_relationship_that_somebody_reads_or_that_was_loaded_seldom() -> None:
    assert found(replace(EAGER, calls=4)) == []
    read = replace(EAGER, loader="joinedload(User.posts)", site=OTHER, reads=1)
    assert found(EAGER, read) == []


def test_the_round_trip() -> None:
    fast, rare = (
        statement("SELECT 1", latency=latency(0.5, 20)),
        statement("SELECT 2", latency=latency(0.1, 19)),
    )
    assert round_trip(workload(fast, rare), "shop").source == "pings of the pool"
    without = workload(fast, rare, pings=3)
    assert round_trip(without, "shop") == RoundTrip(fast.latency.quantile(0.1), "the fastest statement")
    few = workload(rare, pings=0)
    assert round_trip(few, "shop") == RoundTrip(rare.latency.quantile(0.1), "the fastest statement")
    commits = Figure.of("transactions", "", "shop", {f"commit.{bucket_of(MS // 5)}": 50})
    with_commits = replace(without, figures=(commits,))
    assert round_trip(with_commits, "shop").source == "the fastest commits"
    assert round_trip(without, "elsewhere") == RoundTrip(0.0, "nothing")


def test_what_saves_most_comes_first_and_no_more_than_it_took() -> None:
    little = replace(LAZY, site=OTHER, nanoseconds=1 * MS)
    first, second = found(little, LAZY)
    assert first.call_sites[0] == PAGE
    assert second.evidence[0].seconds_saved == pytest.approx(0.00098)
    assert second.severity is Severity.INFO
