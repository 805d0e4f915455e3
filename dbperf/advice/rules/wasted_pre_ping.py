"""DBP505 wasted-pre-ping: every checkout asks whether the connection is alive, and all were.

**Why it matters.** `pool_pre_ping` sends a statement before each use of a connection: a round trip that the
request waits for, and that the database answers as often as it answers requests.

**How it is found.** 1,000 pings or more found no dead connection, and took 2 % or more of what checkouts
took in all: waiting, pinging and holding.

**What to do.** Use dbperf's pool (`Settings(pool="adaptive")`, the default of `dbperf.create_engine`): it
sends no ping where the connection was used within the last half second (`alive_bypass`), so under load
there are next to none, and connections that lay idle are still asked. Where it is in use already, raise
`alive_bypass`. Or leave `pool_pre_ping` out, and have `pool_recycle` close connections before a firewall or
the server does.

**How it is priced.** The time that pings took, which was measured. It all is saved where none is sent;
nothing was tried, so a finding is `estimated`. It is info: it is the price of a guarantee.

**What to weigh.** Without a ping the first statement on a connection that died meanwhile fails: after a
restart or a failover of the server, or where something in between drops idle connections. Code that does
not try again shows that to its users.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.pool_use import Finding, PoolUse
from dbperf.model.recommendation import Severity
from dbperf.report.format import duration, plural

CODE, SLUG = "DBP505", "wasted-pre-ping"

FEWEST = 1000
"""Pings that found every connection alive."""
SHARE = 0.02
"""Of what checkouts took: waiting, pinging and holding."""


def judge(use: PoolUse) -> Iterator[Finding]:
    """A finding for a pool that asks in vain."""
    pool = use.pool
    taken = pool.wait_seconds + pool.held_seconds
    # Ours pings within the wait, SQLAlchemy's while the connection is held: the total has it either way.
    if pool.pings < FEWEST or pool.ping_errors or pool.ping_seconds < SHARE * max(taken, pool.ping_seconds):
        return
    if not pool.ping_seconds:
        return
    share = f" ({pool.ping_seconds / taken:.0%} of what checkouts took)" if taken else ""
    ours = use.has_own_figures
    yield Finding(
        key=pool.name,
        severity=Severity.INFO,
        title=f"{plural(pool.pings, 'ping')} before checkouts found no dead connection, and took "
        f"{duration(pool.ping_seconds)}",
        fix="raise alive_bypass, the seconds after its last use within which a connection is not pinged"
        if ours
        else 'dbperf.create_engine(…, dbperf=Settings(pool="adaptive")) pings only connections that lay idle',
        measured=f"{plural(pool.pings, 'ping')} in {plural(pool.checkouts, 'checkout')} took "
        f"{duration(pool.ping_seconds)}{share}, p95 {duration(pool.ping.quantile(0.95))}",
        method="the time that pings took, measured",
        risk="a connection that died meanwhile fails its first statement where it is not pinged",
        saved=pool.ping_seconds,
    )
