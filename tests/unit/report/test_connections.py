from __future__ import annotations

import pytest

from dbperf.model.report import Report
from dbperf.model.runtime import Figure
from dbperf.report.connections import connection_lines, connections


def test_a_pool_and_the_transactions(busy: Report) -> None:
    assert connections(busy.figures) == [
        ("Pool", "QueuePool: 12,000 checkouts, at most 14 of 15 in use at once in a process"),
        ("Wait", "1.20 s in total, p95 102 µs; 2 timeouts"),
        (
            "Held",
            "240 s in total, p95 19.9 ms; "
            "31.4 s of it by 120 checkouts that ran no statement through SQLAlchemy",
        ),
        ("Connects", "15 opened; 180 ms in total, p95 12.1 ms; 1 could not be opened"),
        ("Pings", "11,985, before 100% of checkouts; 2.40 s in total, p95 205 µs; no dead connection found"),
        (
            "Transactions",
            "5,600 commits, 5.60 s in total, p95 1.02 ms; "
            "6,400 rollbacks, 640 ms in total, p95 102 µs; 3 failed",
        ),
    ]


def test_what_was_not_captured_is_not_told() -> None:
    assert connections(()) == []
    assert connections((Figure.of("operation", "GET /", "", {"calls": 1}),)) == []
    assert connections((Figure.of("pool", "NullPool", "d", {"checkouts": 1}),)) == [
        ("Pool", "NullPool: 1 checkout")
    ]
    assert connections((Figure.of("transactions", "", "d", {"begins": 3}),)) == []


def test_a_pool_without_a_limit_and_with_a_dead_connection() -> None:
    pool = Figure.of("pool", "QueuePool", "d", {"checkouts": 4, "busy.2": 4, "pings": 1, "ping_errors": 1})
    assert connections((pool,)) == [
        ("Pool", "QueuePool: 4 checkouts, at most 2 in use at once in a process"),
        ("Pings", "1, before 25% of checkouts; 1 dead connection found"),
    ]


def test_several_databases_have_their_names_and_the_busiest_pool_is_first() -> None:
    pools = [
        Figure.of("pool", "QueuePool", f"h/1/{name}", {"checkouts": n}) for name, n in (("a", 1), ("b", 2))
    ]
    ended = [Figure.of("transactions", "", "h/1/a", {"commits": 1})]
    assert [text for _, text in connections([*pools, *ended])] == [
        "QueuePool of b (h, port 1): 2 checkouts",
        "QueuePool of a (h, port 1): 1 checkout",
        "a (h, port 1): 1 commit",
    ]


def test_very_many_pools_are_cut() -> None:
    pools = [Figure.of("pool", "P" * 999, f"h/1/{n}", {"checkouts": 1}) for n in range(12)]
    told = connections(pools)
    assert len(told) == 11
    assert told[-1] == ("", "and 2 more pools: --format json has them all")
    assert all(len(text) < 200 for _, text in told)


def test_the_lines_fit_and_stand_in_one_column(busy: Report) -> None:
    for width in (80, 120):
        lines = [line.plain for line in connection_lines(connections(busy.figures), width)]
        assert all(len(line) <= width for line in lines)
        assert lines[0] == "Connections  of all processes of the application together"
        assert {len(line) - len(line[12:].lstrip()) for line in lines[1:]} == {14}


def ours(**counts: int) -> Figure:
    named = {key.replace("__", "."): n for key, n in counts.items()}
    return Figure.of("pool", "AdaptivePool", "d", {"checkouts": 9, "limit.90": 9} | named)


def test_a_quiet_pool_that_sizes_itself_says_little() -> None:
    assert connections(
        (ours(allowed__16=60_000, open__2=60_000, waiting__0=60_000, executing_ns=10**9),)
    ) == [
        ("Pool", "AdaptivePool: 9 checkouts"),
        ("Limit", "16 all the time"),
        ("Held", "100% executing (sampled)"),
    ]
    fixed = ours(allowed__90=60_000)
    assert connections((fixed,)) == [("Pool", "AdaptivePool: 9 checkouts")]


def test_a_busy_pool_that_sizes_itself() -> None:
    changes = {"decision__demand": 4, "decision__no_gain": 3, "decision__probe": 2, "decision__a_b": 1}
    doing = {"executing_ns": 30 * 10**9, "idle_in_transaction_ns": 15 * 10**9, "idle_ns": 5 * 10**9}
    times = {"allowed__16": 6_000, "allowed__40": 60_000, "allowed__48": 12_000, "stalled_ms": 3200}
    assert connections((ours(**changes, **doing, **times, refused=3, pings=9, spared_pings=70),)) == [
        ("Pool", "AdaptivePool: 9 checkouts"),
        (
            "Limit",
            "40 for 77% of the time, from 16 to 48; changed 10 times: 4 for demand, 3 for want of gain, "
            "2 for a trial, 1 for other reasons; nothing came back from the database for 3.20 s",
        ),
        ("Wait", "3 checkouts turned away from a full line"),
        ("Held", "60% executing, 30% idle in a transaction, 10% idle (sampled)"),
        (
            "Pings",
            "9, before 100% of checkouts; no dead connection found; "
            "70 spared, the connection had just been used",
        ),
    ]
    assert connections((ours(spared_pings=70),))[1] == (
        "Pings",
        "none; 70 spared, the connection had just been used",
    )
    assert connections((ours(stalled_ms=900),))[1] == (
        "Limit",
        "nothing came back from the database for 900 ms",
    )


@pytest.mark.parametrize(
    ("whose", "told"),
    [
        ("fleet", "may grow to 90, a process's share of what the server allows"),
        ("max_size", "may grow to 90, by max_size"),
        ("pool_size", "may grow to 90, by pool_size and max_overflow"),
        ("default", "may grow to 90, the default"),
    ],
)
def test_a_pool_that_sizes_itself_says_how_far_and_why(whose: str, told: str) -> None:
    pool = ours(allowed__16=1000, allowed__8=9000, decision__quiet=2, **{f"cap__{whose}": 10_000})
    assert connections((pool,))[1] == (
        "Limit",
        f"8 for 90% of the time, from 8 to 16; {told}; changed 2 times for want of a queue",
    )


def test_leaks_are_told_with_their_lines() -> None:
    lines = [Figure.of("held", f"/srv/app.py:{n} load", "d", {"leaks": n}) for n in range(1, 6)]
    others = [
        Figure.of("held", "/srv/b.py:1 f", "other", {"leaks": 9}),
        Figure.of("held", "/srv/c.py:1 f", "d", {"idle_in_transaction_ns": 9}),
    ]
    assert connections((ours(leaks=15, leaks_returned=2), *lines, *others))[-1] == (
        "Leaks",
        "15 connections held too long, taken at /srv/app.py:5 load, /srv/app.py:4 load, /srv/app.py:3 load "
        "and 2 more lines; 2 came back",
    )
    unknown = Figure.of("held", ":0 ", "d", {"leaks": 1})
    assert connections((ours(leaks=1), unknown))[-1] == (
        "Leaks",
        "1 connection held too long, taken at a line that is not known; none came back",
    )
