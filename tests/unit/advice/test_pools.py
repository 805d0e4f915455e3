"""What the rules DBP5xx say of the pools of a workload, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbperf.advice.pools import on_pools
from dbperf.advice.selection import selection, told
from dbperf.model.histogram import bucket_of
from dbperf.model.recommendation import Level, Recommendation, Severity
from dbperf.model.runtime import Figure
from dbperf.model.workload import CallSite, Statement, Workload

SHOP = "h/1/shop"
LOAD = CallSite("/srv/shop/app.py", 12, "load", 0)
S, MS = 10**9, 10**3
"""Nanoseconds of a second, milliseconds of a second."""


def times(name: str, number: int, seconds: float) -> dict[str, int]:
    """The counts of a distribution: as many durations, of the same length each."""
    return {f"{name}_ns": int(number * seconds * 1e9), f"{name}.{bucket_of(int(seconds * 1e9))}": number}


def pool(name: str = "QueuePool", **counts: int) -> Figure:
    return Figure.of("pool", name, SHOP, {key.replace("__", "."): n for key, n in counts.items()})


def line(site: CallSite = LOAD, **counts: int) -> Figure:
    return Figure.of("held", f"{site.file}:{site.line} {site.function}", SHOP, counts)


def found(*figures: Figure, seconds: float = 10.0) -> list[Recommendation]:
    statement = Statement("SELECT 1", "f", "postgresql", SHOP, 1000, execute_seconds=seconds)
    return list(on_pools(Workload((statement,), figures=figures)))


# 1,000 checkouts that held a connection for 10 ms each; half found all 15 in use, and waited 20 ms each.
CROWDED = {
    "checkouts": 1000,
    "limit__15": 1000,
    "busy__15": 500,
    "busy__9": 500,
    **{key.replace(".", "__"): n for key, n in times("held", 1000, 0.01).items()},
    f"wait__{bucket_of(20_000_000)}": 500,
    f"wait__{bucket_of(2_000)}": 500,
    "wait_ns": 10 * S,
}


def test_a_pool_that_is_too_small() -> None:
    (only,) = found(pool(**CROWDED))
    assert (only.id, only.code, only.slug) == ("DBP501:QueuePool", "DBP501", "pool-too-small")
    assert only.title == (
        "checkouts waited 10.0 s for a connection: the pool may have 15 in use and needs 45"
    ), "as many as are in use, and two more for each that waited twice as long as one is held"
    assert only.fix == "let 45 be in use: pool_size + max_overflow = 45, where they are 15 together"
    assert only.severity is Severity.ERROR, "half of the time that the application waited for the database"
    (evidence,) = only.evidence
    assert (evidence.fingerprint, evidence.sql, evidence.calls) == ("", "", 1000)
    assert evidence.usage.startswith(
        "at 500 checkouts of 1,000 all 15 connections were in use; waiting took 10.0 s"
    )
    assert only.verification.level is Level.ESTIMATED
    assert (only.statements, only.tables, only.ddl) == ((), (), ())


def test_never_more_than_four_times_at_once() -> None:
    (only,) = found(pool(**CROWDED | {"wait_ns": 1000 * S}))
    assert "needs 60" in only.title


def test_a_timeout_is_a_warning_at_least() -> None:
    few = CROWDED | {"checkouts": 20, "busy__15": 2, "busy__9": 18, "timeouts": 1, "wait_ns": 1}
    (only,) = found(pool(**few))
    assert (only.code, only.severity) == ("DBP501", Severity.WARNING)
    assert "1 timeout" in only.title
    assert "needs 16" in only.title


@pytest.mark.parametrize(
    "but",
    [
        {"limit__15": 0},  # it has none, or it is not known
        {"busy__15": 10, "busy__9": 990},  # it was hardly ever reached
        {"busy__15": 0, "busy__14": 500},
        {"held_ns": 400 * S},  # next to what connections are held, waiting is nothing
        {f"wait__{bucket_of(20_000_000)}": 10},  # few wait, and not for long
        {f"wait__{bucket_of(20_000_000)}": 0, f"wait__{bucket_of(5 * S)}": 4},  # long, but very few
        {"checkouts": 90, "busy__15": 45, "busy__9": 45},
        {"leaks": 8},  # it is the leaks that have them
        {"allowed__15": 20 * MS, "stalled_ms": 4 * MS},  # it is the database
    ],
)
def test_a_pool_that_is_not_too_small(but: dict[str, int]) -> None:
    assert not [each for each in found(pool(**CROWDED | but)) if each.code == "DBP501"]


def test_a_pool_that_sizes_itself_is_too_small_only_at_its_cap() -> None:
    ours = CROWDED | {"allowed__15": 60 * MS}
    (only,) = found(pool("AdaptivePool", **ours))
    assert only.id == "DBP501:AdaptivePool"
    ours |= {"limit__15": 0, "limit__90": 1000}
    assert not found(pool("AdaptivePool", **ours)), "it may have more, and does not take it"


@pytest.mark.parametrize(
    ("whose", "fix"),
    [
        ("pool_size", "let 45 be in use: pool_size + max_overflow = 45, where they are 15 together"),
        ("max_size", "let 45 be in use: max_size = 45, where it is 15"),
        ("default", "let 45 be in use: max_size = 45, where none was given and 15 is the default"),
        (
            "fleet",
            "raise the server's max_connections, or run fewer processes: 15 is a process's share of what it "
            "allows, and max_size = 45 would take the rest from the others",
        ),
    ],
)
def test_what_has_to_grow_is_what_the_limit_came_from(whose: str, fix: str) -> None:
    counts = CROWDED | {"allowed__15": 60 * MS, f"cap__{whose}": 60 * MS}
    (only,) = found(pool("AdaptivePool", **counts))
    assert (only.code, only.fix) == ("DBP501", fix)


LARGE = {"checkouts": 5000, "limit__100": 5000, "busy__6": 5000}
WAITING = {"allowed__16": 9 * MS, "allowed__40": 9 * MS, "waiting__3": 8 * MS, "decision__no_gain": 1}


def test_a_pool_that_is_too_large() -> None:
    (only,) = found(pool(**LARGE))
    assert (only.id, only.severity) == ("DBP502:QueuePool", Severity.INFO)
    assert only.title == "the pool may have 100 connections in use and never had more than 6 in a process"
    assert only.fix == "pool_size + max_overflow = 12: twice what was ever used"
    fixed = LARGE | {"allowed__100": 60 * MS, "cap__max_size": 60 * MS}
    assert found(pool("AdaptivePool", **fixed))[0].fix == "max_size = 12: twice what was ever used"


@pytest.mark.parametrize(
    "figure",
    [
        pool(**LARGE | {"busy__6": 0, "busy__30": 5000}),
        pool(**LARGE | {"checkouts": 900}),
        pool(**LARGE | {"limit__100": 0}),
        pool(checkouts=5000, limit__15=5000, busy__1=5000),  # SQLAlchemy's default
        pool("AdaptivePool", **LARGE, allowed__16=60 * MS),  # nobody waits: it takes no more than it needs
        pool("AdaptivePool", **LARGE, **WAITING | {"allowed__60": MS}),
        pool("AdaptivePool", **LARGE, **WAITING | {"waiting__3": MS, "waiting__0": 60 * MS}),
        pool("AdaptivePool", **LARGE, **WAITING | {"decision__no_gain": 0}),
        pool("AdaptivePool", **LARGE, **WAITING, cap__fleet=18 * MS, cap__default=MS),  # nobody gave it that
        pool(checkouts=5000),
    ],
)
def test_a_pool_that_is_not_too_large(figure: Figure) -> None:
    assert not found(figure)


def test_what_did_not_pay() -> None:
    (only,) = found(pool("AdaptivePool", **LARGE, **WAITING))
    assert only.title == "more than 40 connections in use did not pay, and the pool may have 100"
    assert only.severity is Severity.INFO
    assert only.evidence[0].usage.startswith("for 8.00 s checkouts waited")
    assert only.fix.startswith("where the pool was given a size: pool_size + max_overflow = 40")


@pytest.mark.parametrize(
    ("whose", "keyword"), [("pool_size", "pool_size + max_overflow"), ("max_size", "max_size")]
)
def test_what_did_not_pay_is_told_by_the_keyword_that_allowed_it(whose: str, keyword: str) -> None:
    (only,) = found(pool("AdaptivePool", **LARGE, **WAITING, **{f"cap__{whose}": 18 * MS}))
    assert only.fix == f"{keyword} = 40, the most that the pool allowed"


LEAKING = pool("AdaptivePool", checkouts=10, leaks=2, leaks_returned=1)


def test_a_leak() -> None:
    (only,) = found(LEAKING, line(leaks=2, leaks_returned=1, leaked_ns=90 * S))
    assert (only.id, only.slug) == ("DBP503:shop/app.py:load", "connection-leak")
    assert only.severity is Severity.ERROR
    assert only.title == (
        "2 connections taken in /srv/shop/app.py:12 were held and did nothing: 1 never came back"
    )
    assert only.fix.startswith("in /srv/shop/app.py:12 take the connection or session in a with block")
    assert only.call_sites == (LOAD,)
    assert "90.0 s in total" in only.evidence[0].usage


def test_leaks_that_came_back_are_a_warning() -> None:
    (only,) = found(pool(checkouts=1, leaks=1, leaks_returned=1), line(leaks=1, leaks_returned=1))
    assert only.severity is Severity.WARNING
    assert only.title.endswith("was held and did nothing: it came back late")


def test_lines_of_one_function_are_one_leak_and_functions_are_apart() -> None:
    other = replace(LOAD, line=40)
    mail = CallSite("/srv/shop/mail.py", 3, "send", 0)
    told_of = found(LEAKING, line(leaks=1), line(other, leaks=2), line(mail, leaks=1))
    assert {each.id: len(each.call_sites) for each in told_of} == {
        "DBP503:shop/app.py:load": 2,
        "DBP503:shop/mail.py:send": 1,
    }


def test_a_leak_of_nobody_knows_which_line() -> None:
    (only,) = found(LEAKING)
    assert (only.id, only.call_sites) == ("DBP503:AdaptivePool", ())
    (only,) = found(pool(checkouts=1, leaks=1))
    assert only.title == "1 connection taken was held and did nothing: it never came back"
    (only,) = found(LEAKING, Figure.of("held", ":0 ", SHOP, {"leaks": 2}))
    assert (only.id, only.call_sites) == ("DBP503:AdaptivePool", ())


def test_two_pools_of_a_database_share_the_lines_that_leak() -> None:
    both = [LEAKING, replace(LEAKING, name="AsyncAdaptivePool")]
    assert len(found(*both, line(leaks=2))) == 1


def test_no_leak() -> None:
    assert not found(pool(checkouts=10), line(idle_in_transaction_ns=S))
    elsewhere = replace(line(leaks=1), database="h/1/other")
    assert not found(pool(checkouts=10), elsewhere)


IDLE = {
    "checkouts": 100,
    "executing_ns": 12 * S,
    "idle_in_transaction_ns": 8 * S,
    **{key.replace(".", "__"): n for key, n in times("held", 20, 0.5).items()},
    "allowed__15": 60 * MS,
}


def test_idle_in_a_transaction() -> None:
    figures = (pool("AdaptivePool", **IDLE), line(idle_in_transaction_ns=7 * S))
    (only,) = found(*figures)
    assert (only.id, only.severity) == ("DBP504:AdaptivePool", Severity.INFO)
    assert only.title == (
        "40% of the time that connections are in use, a transaction is open and the program does "
        "something else"
    )
    assert only.fix == "in /srv/shop/app.py:12 commit, or close the session, before slow work"
    assert only.call_sites == (LOAD,)
    assert only.evidence[0].usage == (
        "8.00 s of 20.0 s sampled idle in a transaction, taken at /srv/shop/app.py:12 (7.00 s)"
    )
    waited = pool("AdaptivePool", **IDLE, wait_ns=S)
    assert found(waited)[0].severity is Severity.WARNING
    mostly = pool("AdaptivePool", **IDLE | {"executing_ns": S})
    assert found(mostly)[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    "but",
    [
        {"idle_in_transaction_ns": 2 * S},  # little
        {"executing_ns": 60 * S},  # a small share
        {"idle_in_transaction_ns": 0, "idle_ns": 8 * S},  # no transaction is open
    ],
)
def test_not_idle_in_a_transaction(but: dict[str, int]) -> None:
    assert not found(pool("AdaptivePool", **IDLE | but))


def test_what_a_program_does_between_two_statements_is_no_finding() -> None:
    short = {key: n for key, n in IDLE.items() if not key.startswith("held")}
    held = {key.replace(".", "__"): n for key, n in times("held", 10_000, 0.002).items()}
    assert not found(pool("AdaptivePool", **short, **held))


PINGING = {
    "checkouts": 5000,
    "pings": 5000,
    **{key.replace(".", "__"): n for key, n in times("ping", 5000, 0.0004).items()},
    **{key.replace(".", "__"): n for key, n in times("held", 5000, 0.004).items()},
}


def test_pings_in_vain() -> None:
    (only,) = found(pool(**PINGING))
    assert (only.id, only.severity) == ("DBP505:QueuePool", Severity.INFO)
    assert only.title == "5,000 pings before checkouts found no dead connection, and took 2.00 s"
    assert only.evidence[0].seconds_saved == pytest.approx(2.0)
    assert "(10% of what checkouts took)" in only.evidence[0].usage
    assert "Settings(pool=" in only.fix
    (ours,) = found(pool("AdaptivePool", **PINGING, allowed__15=MS))
    assert ours.fix.startswith("raise alive_bypass")


@pytest.mark.parametrize(
    "but", [{"ping_errors": 1}, {"pings": 900}, {"held_ns": 2000 * S}, {"ping_ns": 0}, {"pings": 0}]
)
def test_pings_that_are_worth_it(but: dict[str, int]) -> None:
    assert not found(pool(**PINGING | but))


def test_the_worst_is_first_and_an_empty_workload_has_none() -> None:
    codes = [each.code for each in found(pool(**CROWDED), LEAKING, pool("P", **PINGING))]
    assert codes == ["DBP501", "DBP503", "DBP505"]
    assert on_pools(Workload()) == ()
    assert not found(Figure.of("pool", "NullPool", SHOP, {"checkouts": 3, "busy.2": 3}))


@pytest.mark.parametrize(
    ("select", "ignore", "left"),
    [
        ([], [], 1),
        (["DBP5"], [], 1),
        (["DBP1"], [], 0),
        ([], ["connection-leak"], 0),
        ([], ["DBP503@shop/app.py"], 0),
        ([], ["DBP503@shop/app.py:load"], 0),
        ([], ["DBP503@shop/app.py:other", "DBP501@shop/app.py"], 1),
    ],
)
def test_which_are_told(select: list[str], ignore: list[str], left: int) -> None:
    kept, _ = told(found(LEAKING, line(leaks=1)), (), selection(select, ignore))
    assert len(kept) == left


def test_a_place_below_the_working_directory_is_told_from_there() -> None:
    (only,) = found(LEAKING, line(replace(LOAD, file=str(Path.cwd() / "shop" / "app.py")), leaks=1))
    assert "in shop/app.py:12" in only.title


def test_a_few_may_wait_for_all_where_a_pool_is_unfair() -> None:
    unfair = CROWDED | {f"wait__{bucket_of(20_000_000)}": 0, f"wait__{bucket_of(S)}": 10}
    (only,) = found(pool(**unfair))
    assert only.code == "DBP501"
    assert "10 times 10.0 ms or longer" in only.evidence[0].usage
