"""The report as JSON, the contract with other programs; `report.schema.json` describes it.

`saved.parse` reads it back.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, fields, replace
from typing import Any, Final

from dbperf.model.recommendation import Severity
from dbperf.model.report import Coverage, Replayed, Report, Skipped, StatementReport
from dbperf.model.workload import Counted
from dbperf.report.runtime import runtime
from dbperf.report.words import scored

SCHEMA_VERSION: Final = 1


def render(report: Report, *, indent: int | None = 2) -> str:
    """The report as a JSON document in ASCII with a final newline; on one line where `indent` is None.

    Times are seconds, sizes bytes, costs in the unit of the evidence. A number that is not finite becomes
    null. Parameters and samples never appear: they are the application's data.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "summary": _summary(report),
        "coverage": _coverage(report.coverage),
        "statements": [_statement(each) for each in report.statements],
        "recommendations": [asdict(each) for each in report.recommendations],
        "runtime": runtime(report.figures),
    }
    # ASCII escapes also carry the lone surrogates of a path that is not UTF-8 through any encoding.
    try:
        text = json.dumps(document, indent=indent, allow_nan=False)
    except ValueError:  # rare, and to look for it takes as long as all the rest
        text = json.dumps(_finite(document), indent=indent, allow_nan=False)
    return text + "\n"


def _coverage(coverage: Coverage) -> dict[str, Any]:
    # Not asdict all the way down: what is skipped may be ten thousand statements.
    names = [each.name for each in fields(Skipped)]
    skipped = [{name: getattr(each, name) for name in names} for each in coverage.skipped]
    unseen = asdict(coverage.unseen) | {"own_seconds": coverage.unseen.own_seconds}
    return asdict(replace(coverage, skipped=())) | {"skipped": skipped, "unseen": unseen}


def _summary(report: Report) -> dict[str, Any]:
    findings = Counter(each.severity for each in report.recommendations)
    statements = [each.statement for each in report.statements]
    replayed = [each.after for each in report.statements if each.after]
    return {
        "target": report.target.database,
        "environment": report.target.environment,
        "applied": report.applied,
        "server_version": report.target.server_version,
        "statements": len(statements),
        "calls": sum(each.calls for each in statements),
        "wait_seconds": sum(each.wait_seconds for each in statements),
        "execute_seconds": sum(each.execute_seconds for each in statements),
        "execute_seconds_after": sum(each.execute_seconds for each in replayed) if report.applied else None,
        "fetch_seconds": sum(each.fetch_seconds for each in statements),
        "fetch_seconds_after": sum(each.fetch_seconds for each in replayed) if report.applied else None,
        "recoverable_seconds": report.recoverable_seconds,
        "findings": {severity.value: findings[severity] for severity in Severity},
    }


def _statement(report: StatementReport) -> dict[str, Any]:
    statement = report.statement
    timed = statement.latency.count > 0
    return {
        "sql": statement.sql,
        "fingerprint": statement.fingerprint,
        "database": statement.database,
        "dialect": statement.dialect,
        "calls": statement.calls,
        "parameter_sets": statement.parameter_sets,
        "rows": statement.rows,
        "unread_rows": statement.unread_rows,
        "errors": statement.errors,
        "timeouts": statement.timeouts,
        "cancellations": statement.cancellations,
        "failures": _by_name(statement.failures),
        "wait_seconds": statement.wait_seconds,
        "execute_seconds": statement.execute_seconds,
        "fetch_seconds": statement.fetch_seconds,
        "mean_seconds": statement.mean_seconds if statement.calls else None,
        "p50_seconds": statement.latency.quantile(0.5) if timed else None,
        "p95_seconds": statement.latency.quantile(0.95) if timed else None,
        "latency": statement.latency.buckets,
        "call_sites": [asdict(site) for site in statement.call_sites],
        "operations": _by_name(statement.operations),
        "accesses": [asdict(each) for each in statement.accesses],
        "verdict": report.verdict,
        "tables": report.tables,
        "cost": report.cost,
        "recommendations": report.recommendations,
        "complexity": scored(report.complexity),
        "after": _replayed(report.after),
    }


def _by_name(counted: Counted) -> list[dict[str, Any]]:
    return [{"name": name, "calls": calls} for name, calls in counted]


def _replayed(after: Replayed | None) -> dict[str, Any] | None:
    if after is None:
        return None
    mean = after.execute_seconds / after.calls if after.calls else None
    return asdict(after) | {"mean_seconds": mean}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
