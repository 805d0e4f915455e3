"""Run-time figures in the JSON report: the numbers by name, and the counts that they are read back from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dbperf.model.histogram import Latency
from dbperf.model.pools import Holder, Pool, holders, mean_number, pools, usual_number
from dbperf.model.runtime import Figure, Operation, Transactions, batchers, operations, together, transactions


def runtime(figures: Sequence[Figure]) -> dict[str, Any]:
    """What the engine's run-time parts did. All of it follows from `figures`, which `saved.parse` reads."""
    return {
        "pools": [_pool(each) for each in pools(figures)],
        "holders": [_holder(each) for each in holders(figures)],
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
        **_of_ours(pool),
    }


def _of_ours(pool: Pool) -> dict[str, Any]:
    """What dbperf's own pool counts alone."""
    return {
        "cap_of": pool.cap_of or None,
        **_numbers("allowed", pool.allowed),
        **_numbers("open", pool.open),
        **_numbers("waiting", pool.waiting),
        "decisions": pool.decisions,
        "stalled_seconds": pool.stalled_seconds,
        "executing_seconds": pool.executing_seconds,
        "idle_in_transaction_seconds": pool.idle_in_transaction_seconds,
        "idle_seconds": pool.idle_seconds,
        "leaks": pool.leaks,
        "leaks_returned": pool.leaks_returned,
        "retired": pool.retired,
        "refused": pool.refused,
        "spared_pings": pool.spared_pings,
    }


def _numbers(what: str, times: Mapping[int, float]) -> dict[str, float | int | None]:
    return {
        f"{what}_mean": mean_number(times),
        f"{what}_usual": usual_number(times),
        f"{what}_most": max(times) if times else None,
    }


def _holder(holder: Holder) -> dict[str, Any]:
    file, line, function = holder.place
    return {
        "file": file,
        "line": line,
        "function": function,
        "database": holder.database,
        "leaks": holder.leaks,
        "leaks_returned": holder.leaks_returned,
        "leaked_seconds": holder.leaked_seconds,
        "idle_in_transaction_seconds": holder.idle_in_transaction_seconds,
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
