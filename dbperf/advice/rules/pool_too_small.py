"""DBP501 pool-too-small: checkouts wait for a connection while all that may be in use are.

**Why it matters.** Who waits for a connection waits for nothing that the database does: the statement that
it has not sent yet costs the same later. After `pool_timeout` seconds it fails.

**How it is found.** Checkouts timed out, or those that waited for 10 ms or longer, 5 of them at least,
waited 5 % or more of what holding connections took; where waiters are not served in their order, as in
SQLAlchemy's pool, few wait for long and most for nothing. And the limit was to blame: at 1 checkout in 20
all connections that `pool_size` and `max_overflow` allow were in use. dbperf's own pool goes there only
where it measured that more pays, so its limit is to blame when it was held at its cap. At least 100
checkouts must have been captured, or a timeout.

It is silent where half of the limit is lost to leaks (DBP503 tells of them), and where dbperf's pool saw
the database answer nobody for a tenth of the time or more: a larger pool would only queue more in it.

**What to do.** Set the number that the fix says. It is Little's law: as many as were in use, and as many
more as waited meanwhile, which is the limit x (1 + wait / hold) of the checkouts that found all in use.
More than four times the limit is never said at once: measure again. Where a pool of dbperf's was given no
size, its limit is this process's share of what the server allows, and that is what has to grow.

**How it is priced.** It is not: how fast the database is with more connections is known afterwards. So a
finding is `estimated`.

**What to weigh.** Each process of the application gets so many, and all of them together have to fit
`max_connections`. Where the database is busy already, statements get slower instead; where connections are
held idle in a transaction (DBP504), holding them for less is worth more than having more of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from dbperf.advice.pool_use import Finding, PoolUse
from dbperf.advice.severity import severity
from dbperf.model.recommendation import Severity
from dbperf.report.format import duration, plural

CODE, SLUG = "DBP501", "pool-too-small"

FEWEST = 100
"""Checkouts from which on waiting is judged."""
WAITED_SECONDS, WAITED_SHARE, FEWEST_WAITS = 0.01, 0.05, 5
"""From which on a wait is long; what these took, as a share of the time that connections were held; how many
there are at least.
"""
AT_LIMIT_SHARE = 0.05
"""Of checkouts, those after which all connections were in use."""
LEAKED_SHARE = 0.5
"""Of the limit, from which on leaks are to blame."""
STALLED_SHARE = 0.1
"""Of the time, from which on the database is to blame."""
AT_ONCE = 4
"""Times the limit that is advised at most."""


def judge(use: PoolUse) -> Iterator[Finding]:
    """A finding where checkouts wait because of the limit."""
    pool, limit = use.pool, use.pool.limit
    if limit is None or not _waits(use) or _is_something_else(use, limit):
        return
    at_limit = use.handed_out_at_limit
    needed = _needed(use, limit)
    total = pool.wait_seconds + use.statement_seconds
    matters = severity(pool.wait_seconds, total)
    timeouts = f", {plural(pool.timeouts, 'timeout')}" if pool.timeouts else ""
    number = f"at {plural(at_limit, 'checkout')} of {pool.checkouts:,} all {limit:,} connections were in use"
    yield Finding(
        key=pool.name,
        severity=max(matters, Severity.WARNING, key=lambda each: each.rank) if pool.timeouts else matters,
        title=f"checkouts waited {duration(pool.wait_seconds)} for a connection{timeouts}: "
        f"the pool may have {limit:,} in use and needs {needed:,}",
        fix=_fix(use, limit, needed),
        measured=f"{number}; waiting took {duration(pool.wait_seconds)}, "
        f"{use.waited_longer_than(WAITED_SECONDS)[0]:,} times {duration(WAITED_SECONDS)} or longer, and "
        f"holding {duration(pool.held_seconds)} (p95 {duration(pool.held.quantile(0.95))})",
        method="Little's law: connections in use and checkouts that waited meanwhile, both measured",
        risk="each process opens so many, all together have to fit max_connections; a database that is busy "
        "already only gets slower",
    )


def _fix(use: PoolUse, limit: int, needed: int) -> str:
    if use.is_of_fleet:
        return (
            f"raise the server's max_connections, or run fewer processes: {limit:,} is a process's share of "
            f"what it allows, and max_size = {needed} would take the rest from the others"
        )
    known = {
        "max_size": f"where it is {limit}",
        "default": f"where none was given and {limit} is the default",
    }
    now = known.get(use.pool.cap_of, f"where they are {limit} together")
    return f"let {needed:,} be in use: {use.sized_by} = {needed}, {now}"


def _waits(use: PoolUse) -> bool:
    pool = use.pool
    if pool.timeouts:
        return bool(use.handed_out_at_limit)
    if pool.checkouts < FEWEST or use.handed_out_at_limit < AT_LIMIT_SHARE * pool.checkouts:
        return False
    times, waited = use.waited_longer_than(WAITED_SECONDS)
    return times >= FEWEST_WAITS and waited >= WAITED_SHARE * pool.held_seconds


def _is_something_else(use: PoolUse, limit: int) -> bool:
    pool = use.pool
    leaked = pool.leaks - pool.leaks_returned >= LEAKED_SHARE * limit
    stalled = pool.stalled_seconds > 0 and pool.stalled_seconds >= STALLED_SHARE * sum(pool.allowed.values())
    return leaked or stalled


def _needed(use: PoolUse, limit: int) -> int:
    pool = use.pool
    wait = pool.wait_seconds / use.handed_out_at_limit
    hold = pool.held_seconds / max(pool.held.count, 1)
    more = wait / hold if hold else float(AT_ONCE)
    return max(limit + 1, min(ceil(limit * (1 + more)), limit * AT_ONCE))
