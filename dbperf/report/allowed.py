"""What is told of a pool that sizes itself: how many connections it allowed, and what those did."""

from __future__ import annotations

from dbperf.model.pools import Pool, usual_number
from dbperf.report.format import duration, plural
from dbperf.report.layout import clipped, one_line

_KINDS = 3
"""Kinds of reasons that are named."""
_WORDS = {
    "pays": "gain",
    "no_gain": "want of gain",
    "probe": "a trial",
    "idle_transactions": "idle transactions",
    "client_busy": "a busy program",
    "stall": "a stall",
    "recovered": "the end of one",
    "quiet": "want of a queue",
    "cap": "a lower cap",
    "changed": "other traffic",
}
"""What kinds of reasons are called, of those whose own name is not what one would say."""
_CAPS = {
    "pool_size": "by pool_size and max_overflow",
    "max_size": "by max_size",
    "fleet": "a process's share of what the server allows",
    "default": "the default",
}
"""Who says how many connections may be in use at the very most."""


def limit(pool: Pool) -> str:
    """`40 for 62% of the time, from 16 to 48; may grow to 90, by max_size; changed 7 times: 3 for demand,
    4 for other reasons`; "" of a pool whose limit is always the same, and known already.
    """
    times, changes = pool.allowed, sum(pool.decisions.values())
    stalled = (
        f"nothing came back from the database for {duration(pool.stalled_seconds)}"
        if pool.stalled_seconds
        else ""
    )
    usual = usual_number(times)
    if usual is None or (usual == pool.limit and len(times) == 1):
        return stalled
    share = times[usual] / sum(times.values())
    most = (
        f"{usual:,} for {min(share, 0.99):.0%} of the time" if len(times) > 1 else f"{usual:,} all the time"
    )
    between = f", from {min(times):,} to {max(times):,}" if len(times) > 1 else ""
    changed = f"changed {plural(changes, 'time')}{_reasons(pool)}" if changes else ""
    return "; ".join(filter(None, (most + between, _cap(pool), changed, stalled)))


def _cap(pool: Pool) -> str:
    whose = _CAPS.get(pool.cap_of)
    return f"may grow to {pool.limit:,}, {whose}" if whose and pool.limit is not None else ""


def busy_with(pool: Pool) -> str:
    """What connections in use did, by share of the time sampled; "" where that is not known."""
    spent = {
        "executing": pool.executing_seconds,
        "idle in a transaction": pool.idle_in_transaction_seconds,
        "idle": pool.idle_seconds,
    }
    total = sum(spent.values())
    if not total:
        return ""
    return (
        ", ".join(f"{seconds / total:.0%} {what}" for what, seconds in spent.items() if seconds)
        + " (sampled)"
    )


def _reasons(pool: Pool) -> str:
    kinds = list(pool.decisions.items())
    if len(kinds) == 1:
        return f" for {_called(kinds[0][0])}"
    named = [f"{times:,} for {_called(kind)}" for kind, times in kinds[:_KINDS]]
    others = sum(times for _, times in kinds[_KINDS:])
    return ": " + ", ".join([*named, f"{others:,} for other reasons"] if others else named)


def _called(kind: str) -> str:
    return _WORDS.get(kind, clipped(one_line(kind.replace("_", " ")), 30))
