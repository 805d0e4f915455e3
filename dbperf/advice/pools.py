"""The rules on connection pools, DBP5xx: judged from what was counted and timed, no database is asked."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Final

from dbperf.advice.pool_use import Finding, PoolUse
from dbperf.advice.rules import (
    connection_leak,
    idle_in_transaction,
    pool_too_large,
    pool_too_small,
    wasted_pre_ping,
)
from dbperf.model.recommendation import Evidence, Level, Recommendation, Verification
from dbperf.model.workload import Workload

RULES: Final = (pool_too_small, pool_too_large, connection_leak, idle_in_transaction, wasted_pre_ping)


def on_pools(workload: Workload) -> tuple[Recommendation, ...]:
    """What the rules find in the pools of a workload, what matters most first."""
    found: dict[str, Recommendation] = {}
    for use in _uses(workload):
        for rule in RULES:
            for finding in rule.judge(use):
                advised = _recommendation(rule, finding, use)
                found.setdefault(advised.id, advised)  # two pools of a database share the lines that leak
    return tuple(sorted(found.values(), key=lambda each: -each.severity.rank))


def _uses(workload: Workload) -> Iterator[PoolUse]:
    for pool in workload.pools:
        lines = [each for each in workload.holders if each.database == pool.database]
        here = sum(each.seconds for each in workload.statements if each.database == pool.database)
        yield PoolUse(pool, lines, here)


def _recommendation(rule: ModuleType, finding: Finding, use: PoolUse) -> Recommendation:
    return Recommendation(
        id=f"{rule.CODE}:{finding.key}",
        code=rule.CODE,
        slug=rule.SLUG,
        severity=finding.severity,
        title=finding.title,
        tables=(),
        statements=(),
        call_sites=finding.call_sites,
        ddl=(),
        fix=finding.fix,
        evidence=(Evidence("", "", use.pool.checkouts, usage=finding.measured, seconds_saved=finding.saved),),
        verification=Verification(Level.ESTIMATED, finding.method),
        risk=finding.risk,
    )
