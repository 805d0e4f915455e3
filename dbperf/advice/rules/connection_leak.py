"""DBP503 connection-leak: a connection is taken from the pool, does nothing, and is not given back.

**Why it matters.** Each is lost to everybody else. Once all are, every checkout waits for `pool_timeout`
seconds and fails, until the process is restarted. One that comes back late was lost in between, and where a
transaction was open on it, it kept rows locked and VACUUM from cleaning up.

**How it is found.** dbperf's own pool looks at the connections in use a few times a second. One that was
held for longer than `leak_after` seconds (60 unless set) and does nothing is told, once, with the line of
the application that took it. What came back later is counted too. SQLAlchemy's pools do not know who took a
connection, and nothing is told of them.

It is an error where any never came back while dbperf captured, and a warning where all did.

**What to do.** Take connections and sessions in a `with` block (`with engine.connect() as connection:`,
`async with AsyncSession(engine) as session:`), so that they go back however it ends. Generators that are
never finished, sessions kept in a global or on an object, and tasks that were cancelled between taking a
connection and a `try` are the usual causes.

**How it is priced.** By the seconds that were held in vain, as far as known; no time of a statement is
saved. The seconds are measured, and that the change helps is not: a finding is `estimated`.

**What to weigh.** A connection that listens (`LISTEN`), or holds an advisory lock, does nothing on purpose.
Give it an engine of its own with `poolclass=NullPool`, and no pool is short of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbperf.advice.access import stable, where
from dbperf.advice.pool_use import Finding, PoolUse, site
from dbperf.model.pools import Holder
from dbperf.model.recommendation import Severity
from dbperf.model.workload import CallSite, called
from dbperf.report.format import duration, plural

CODE, SLUG = "DBP503", "connection-leak"


def judge(use: PoolUse) -> Iterator[Finding]:
    """A finding for each function of the application that keeps connections."""
    pool = use.pool
    if not pool.leaks:
        return
    found: dict[str, list[Holder]] = {}
    for each in use.holders:
        if each.leaks:
            found.setdefault(stable(site(each)), []).append(each)
    for key, lines in found.items():
        yield _leak(
            key or pool.name,
            sum(each.leaks for each in lines),
            sum(each.leaks_returned for each in lines),
            sum(each.leaked_seconds for each in lines),
            [line for each in lines if (line := site(each))],
        )
    if not found:
        yield _leak(pool.name, pool.leaks, pool.leaks_returned, 0.0, [])


def _leak(key: str, leaks: int, returned: int, seconds: float, lines: Sequence[CallSite]) -> Finding:
    lost, place = leaks - returned, where(lines[0] if lines else None)
    who = "it" if leaks == 1 else "all" if lost <= 0 else f"{lost:,}"
    back = f"{who} never came back" if lost > 0 else f"{who} came back late"
    held = f", for {duration(seconds)} in total as far as known" if seconds else ""
    return Finding(
        key=key,
        severity=Severity.ERROR if lost > 0 else Severity.WARNING,
        title=f"{plural(leaks, 'connection')} taken {place}{'was' if leaks == 1 else 'were'} held and did "
        f"nothing: {back}",
        fix=f"{place}take the connection or session in a with block, which gives it back however it ends",
        measured=f"{plural(leaks, 'connection')} held too long{held}; {returned:,} of {leaks:,} returned",
        method="held for longer than leak_after and doing nothing, as the pool saw it",
        call_sites=called(lines),
        risk="a connection that waits on purpose, for LISTEN or a lock, should be of no pool",
    )
