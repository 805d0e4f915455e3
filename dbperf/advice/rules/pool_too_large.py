"""DBP502 pool-too-large: the pool may have far more connections than it ever used, or than pay.

**Why it matters.** What the pools of all processes may take together has to fit `max_connections`. Where
one reserves what it never uses, others do not get it, and the server keeps memory and process slots for it.
And in a burst nothing stops the application from opening them all, at the moment when the database has
least use for more.

**How it is found.** Two ways. *Never used*: of the connections that a pool of fixed size may have in use,
at most a quarter ever were at once in any process, and 20 or more never. *Not worth it*: dbperf's own pool
sizes itself, went back at least once from more that brought nothing, and never allowed more than half of
what it may, though for 5 seconds or more checkouts were waiting. At least 1,000 checkouts must have been
captured.

SQLAlchemy's default of 15 is never told, nor is a pool that sizes itself and had no one waiting: that takes
no more than it needs. Nor is one of dbperf's that was given no size: its limit is this process's share of
what the server allows, nothing is reserved, and there is nothing to change.

**What to do.** Set `pool_size` and `max_overflow` so that together they are the number that the fix says,
or `max_size` where that was given: twice what was used at once, or the most that was found to pay. Give
what is left to whom it is of use.

**How it is priced.** It is not: no statement gets faster. A finding is info, and `estimated`.

**What to weigh.** The busiest hour may not have been captured. And what pays depends on the traffic: a pool
that sizes itself finds out anew, within the limit that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.pool_use import Finding, PoolUse
from dbperf.model.recommendation import Severity
from dbperf.report.format import duration, plural

CODE, SLUG = "DBP502", "pool-too-large"

FEWEST = 1000
"""Checkouts from which on it is judged."""
UNUSED_TIMES, UNUSED = 4, 20
"""The limit in times of what was used at most, and the connections that never were used."""
WORTH_SHARE, QUEUED_SECONDS = 0.5, 5.0
"""Of what a pool may have, what it found to pay at most; and how long others waited meanwhile."""
ROOM = 2
"""Times what was used that is advised."""


def judge(use: PoolUse) -> Iterator[Finding]:
    """A finding for a pool that was given far more than it needs."""
    limit = use.pool.limit
    if limit is None or use.pool.checkouts < FEWEST or use.is_of_fleet:
        return
    found = _not_worth_it(use, limit) if use.sizes_itself else _never_used(use, limit)
    if found is not None:
        yield found


def _never_used(use: PoolUse, limit: int) -> Finding | None:
    pool, used = use.pool, use.pool.busiest
    if not used or used * UNUSED_TIMES > limit or limit - used < UNUSED:
        return None
    return _finding(
        use,
        title=f"the pool may have {limit:,} connections in use and never had more than {used:,} in a process",
        fix=f"{use.sized_by} = {used * ROOM}: twice what was ever used",
        measured=f"at most {used:,} of {limit:,} connections in use at once in "
        f"{plural(pool.checkouts, 'checkout')}; waiting took {duration(pool.wait_seconds)}",
        method="the most connections seen in use at once, times two",
        risk="the busiest hour may not have been captured",
    )


def _not_worth_it(use: PoolUse, limit: int) -> Finding | None:
    pool, most = use.pool, max(use.pool.allowed)
    queued = sum(seconds for number, seconds in pool.waiting.items() if number)
    if most > WORTH_SHARE * limit or queued < QUEUED_SECONDS or limit - most < UNUSED:
        return None
    if not pool.decisions.get("no_gain"):
        return None
    given = "" if pool.cap_of else "where the pool was given a size: "
    return _finding(
        use,
        title=f"more than {most:,} connections in use did not pay, and the pool may have {limit:,}",
        fix=f"{given}{use.sized_by} = {most}, the most that the pool allowed",
        measured=f"for {duration(queued)} checkouts waited, and the pool, which measures whether more pays, "
        f"never allowed more than {most:,} of {limit:,} connections",
        method="the most connections that the pool allowed while there was a queue",
        risk="what pays depends on the traffic; the pool finds out anew, a fixed size does not",
    )


def _finding(use: PoolUse, *, title: str, fix: str, measured: str, method: str, risk: str) -> Finding:
    return Finding(use.pool.name, Severity.INFO, title, fix, measured, method, risk=risk)
