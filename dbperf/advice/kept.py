"""What became of the advice, run after run, in a store."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from dbperf.advice.rules import missing_index
from dbperf.errors import StoreError
from dbperf.model.catalog import Catalog
from dbperf.model.report import Report, StatementReport
from dbperf.report import json
from dbperf.workload.store.history import Advice, State, recommendations, remember


def keep(report: Report, store: str, catalog: Catalog) -> Report:
    """`report`, kept in `store`, without what was dismissed there; a store that fails is a note of it."""
    try:
        known = recommendations(store, report.target.database)
        report = _without(report, {each.id: each.reason for each in known if each.state is State.DISMISSED})
        remember(store, report, json.render(report, indent=None), lambda advice: _is_applied(advice, catalog))
    except StoreError as error:
        return _noted(report, f"this report is not kept: {error}")
    return report


def _is_applied(advice: Advice, catalog: Catalog) -> bool:
    return missing_index.is_applied(advice.id, advice.ddl, catalog)


def _without(report: Report, dismissed: dict[str, str]) -> Report:
    found = [each for each in report.recommendations if each.id in dismissed]
    for each in found:
        why = f" ({dismissed[each.id]})" if dismissed[each.id] else ""
        report = _noted(report, f"dismissed and left out: {each.id}{why}")
    statements = tuple(_left(each, dismissed) for each in report.statements)
    kept = tuple(each for each in report.recommendations if each not in found)
    return replace(report, statements=statements, recommendations=kept)


def _left(statement: StatementReport, dismissed: Container[str]) -> StatementReport:
    left = tuple(key for key in statement.recommendations if key not in dismissed)
    if left == statement.recommendations:
        return statement
    verdict = f"{'dismissed in part' if left else 'dismissed'}: {statement.verdict}"
    return replace(statement, recommendations=left, verdict=verdict)


def _noted(report: Report, note: str) -> Report:
    return replace(report, coverage=replace(report.coverage, notes=(*report.coverage.notes, note)))
