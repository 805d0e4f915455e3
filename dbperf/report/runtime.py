"""Run-time figures in the JSON report: the numbers by name, and the counts that they are read back from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dbperf.model.histogram import Latency
from dbperf.model.runtime import (
    Figure,
    Operation,
    Pool,
    Transactions,
    batchers,
    operations,
    pools,
    together,
    transactions,
)


def runtime(figures: Sequence[Figure]) -> dict[str, Any]:
    """What the engine's run-time parts did. All of it follows from `figures`, which `saved.parse` reads."""
    return {
        "pools": [_pool(each) for each in pools(figures)],
        "batchers": [_plain(each) for each in batchers(figures)],
        "caches": [],
        "transactions": _transactions(transactions(figures)),
        "operations": [_operation(each) for each in operations(figures)],
        "figures": [{"kind": each.kind} | _plain(each) for each in figures],
    }


def _plain(figure: Figure) -> dict[str, Any]:
    return {"name": figure.name, "database": figure.database, "counts": dict(figure.counts)}


def _pool(pool: Pool) -> dict[str, Any]:
    return {
        "name": pool.name,
        "database": pool.database,
        "checkouts": pool.checkouts,
        "limit": pool.limit,
        "busiest": pool.busiest,
        "timeouts": pool.timeouts,
        **_spent("wait", pool.wait_seconds, pool.wait),
        **_spent("held", pool.held_seconds, pool.held),
        "raw_checkouts": pool.raw_checkouts,
        "raw_seconds": pool.raw_seconds,
        "connects": pool.connects,
        "connect_errors": pool.connect_errors,
        **_spent("connect", pool.connect_seconds, pool.connect),
        "pings": pool.pings,
        "ping_errors": pool.ping_errors,
        **_spent("ping", pool.ping_seconds, pool.ping),
    }


def _transactions(by_database: Sequence[Transactions]) -> dict[str, Any] | None:
    """Of all databases together: a report is about one, unless nobody judged its statements yet."""
    anywhere = together(replace(each.figure, name="", database="") for each in by_database)
    for each in transactions(anywhere):
        return {
            "begins": each.begins,
            "begin_seconds": each.begin_seconds,
            "commits": each.commits,
            **_spent("commit", each.commit_seconds, each.commit),
            "rollbacks": each.rollbacks,
            **_spent("rollback", each.rollback_seconds, each.rollback),
            "errors": each.errors,
        }
    return None


def _operation(operation: Operation) -> dict[str, Any]:
    markers = [
        {"name": name, "calls": calls, "mean_seconds": mean}
        for name, (calls, mean) in operation.markers.items()
    ]
    return {
        "name": operation.name,
        "calls": operation.calls,
        "errors": operation.errors,
        "seconds": operation.seconds,
        **_quantiles("", operation.latency),
        "statements": operation.statements,
        "database_seconds": operation.database_seconds,
        "markers": markers,
    }


def _spent(what: str, seconds: float, latency: Latency) -> dict[str, float | None]:
    return {f"{what}_seconds": seconds, **_quantiles(f"{what}_", latency)}


def _quantiles(prefix: str, latency: Latency) -> dict[str, float | None]:
    timed = latency.count > 0
    return {
        f"{prefix}p50_seconds": latency.quantile(0.5) if timed else None,
        f"{prefix}p95_seconds": latency.quantile(0.95) if timed else None,
    }
