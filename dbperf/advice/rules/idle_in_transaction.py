"""DBP504 idle-in-transaction: connections are held with a transaction open while the program does other work.

**Why it matters.** As long as it takes, nobody else gets the connection, the rows that the transaction
wrote stay locked, and VACUUM cleans up nothing that was deleted since it began. A pool then looks too
small, and a database busy, that has nothing to do.

**How it is found.** dbperf's own pool looks a few times a second at what each connection in use does. A
quarter of that time or more, and 5 seconds or more in all, a transaction was open and the program had sent
nothing. And it was long: at least half as much time was spent in checkouts that held their connection for
longer than 0.25 s. What the program does for microseconds between two statements is no finding. Of
SQLAlchemy's pools nothing is told. Connections that never came back are DBP503's.

It is a warning where checkouts had to wait for a connection meanwhile, or where it was half of the time or
more, else info.

**What to do.** Commit, or close the session, before slow work that needs no database: calls of other
services, files, templates, `sleep`. Read what is needed first, do the work, then write in a second, short
transaction. Reads open a transaction too: `with engine.connect()` holds one from the first statement to the
end of the block. The lines named took the connections.

**How it is priced.** It is not, in time of statements: what others gain depends on whether they wait. The
share was measured, by samples, and that the change helps was not: a finding is `estimated`.

**What to weigh.** What was read before the commit may have changed after it. Work that has to be atomic has
to stay in one transaction; then keep the slow part outside.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.access import where
from dbperf.advice.pool_use import Finding, PoolUse, site
from dbperf.model.recommendation import Severity
from dbperf.model.workload import called
from dbperf.report.format import duration, place

CODE, SLUG = "DBP504", "idle-in-transaction"

SHARE, LEAST_SECONDS = 0.25, 5.0
"""Of the time that connections were in use, and how much that has to be at least."""
LONG_SECONDS, LONG_SHARE = 0.25, 0.5
"""Held for longer is long; and the time of such checkouts as a share of what was idle in a transaction."""
MOST_SHARE = 0.5
"""From which on it is a warning though nobody waited."""
WAITED_SHARE = 0.01
"""Time that checkouts waited, as a share of the time that connections were held, to be told as waiting."""
LINES, LINE_SHARE = 5, 0.05
"""Lines that are named, and the share of the time that each has at least."""


def judge(use: PoolUse) -> Iterator[Finding]:
    """A finding for a pool whose connections are held for other work."""
    pool, spent, sampled = use.pool, use.pool.idle_in_transaction_seconds, use.sampled_seconds
    if spent < LEAST_SECONDS or spent < SHARE * sampled:
        return
    if use.held_longer_than(LONG_SECONDS) < LONG_SHARE * spent:
        return
    share = spent / sampled
    waited = pool.timeouts > 0 or pool.wait_seconds >= WAITED_SHARE * pool.held_seconds
    longest = sorted(use.holders, key=lambda each: -each.idle_in_transaction_seconds)[:LINES]
    held = [
        (line, each.idle_in_transaction_seconds)
        for each in longest
        if each.idle_in_transaction_seconds >= LINE_SHARE * spent and (line := site(each))
    ]
    named = ", ".join(f"{place(line)} ({duration(seconds)})" for line, seconds in held)
    yield Finding(
        key=pool.name,
        severity=Severity.WARNING if waited or share >= MOST_SHARE else Severity.INFO,
        title=f"{share:.0%} of the time that connections are in use, a transaction is open and the program "
        f"does something else",
        fix=f"{where(held[0][0] if held else None)}commit, or close the session, before slow work",
        measured=f"{duration(spent)} of {duration(sampled)} sampled idle in a transaction"
        + (f", taken at {named}" if named else "")
        + (f"; checkouts waited {duration(pool.wait_seconds)}" if waited else ""),
        method="what each connection in use did, sampled by the pool a few times a second",
        call_sites=called(line for line, _ in held),
        risk="what was read before a commit may have changed after it",
    )
