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
        "runtime": {"pools": [], "batchers": [], "caches": [], "transactions": None},
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
    return asdict(replace(coverage, skipped=())) | {"skipped": skipped}


def _summary(report: Report) -> dict[str, Any]:
    findings = Counter(each.severity for each in report.recommendations)
    return {
        "target": report.target.database,
        "environment": report.target.environment,
        "applied": report.applied,
        "server_version": report.target.server_version,
        "statements": len(report.statements),
        "calls": sum(each.statement.calls for each in report.statements),
        "execute_seconds": report.execute_seconds,
        "execute_seconds_after": report.execute_seconds_after,
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
        "errors": statement.errors,
        "cancellations": statement.cancellations,
        "execute_seconds": statement.execute_seconds,
        "mean_seconds": statement.mean_seconds if statement.calls else None,
        "p50_seconds": statement.latency.quantile(0.5) if timed else None,
        "p95_seconds": statement.latency.quantile(0.95) if timed else None,
        "latency": statement.latency.buckets,
        "call_sites": [asdict(site) for site in statement.call_sites],
        "verdict": report.verdict,
        "tables": report.tables,
        "cost": report.cost,
        "recommendations": report.recommendations,
        "after": _replayed(report.after),
    }


def _replayed(after: Replayed | None) -> dict[str, Any] | None:
    if after is None:
        return None
    mean = after.execute_seconds / after.calls if after.calls else None
    return {"calls": after.calls, "execute_seconds": after.execute_seconds, "mean_seconds": mean}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
