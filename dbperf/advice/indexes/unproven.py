"""Where nothing may be built: the index that the plan and the statistics alone suggest, promising nothing."""

from __future__ import annotations

from collections.abc import Sequence

from dbperf.advice.indexes.candidates import candidates
from dbperf.advice.subject import Subject, is_large
from dbperf.model.catalog import Catalog
from dbperf.model.facts import Role
from dbperf.model.index import IndexSpec, quoted
from dbperf.model.plan import PlanNode

SELECTIVE_SHARE = 0.1
"""A scan that keeps more than this share of a table is read faster in one go than through an index."""


def suggest(subjects: Sequence[Subject], catalog: Catalog) -> dict[IndexSpec, tuple[str, ...]]:
    """For each sequential scan of a large table for few rows: the first candidate for its filter.

    With the fingerprints of the statements that have such a scan.
    """
    wanted: dict[IndexSpec, list[str]] = {}
    for subject in subjects:
        if not subject.expensive:
            continue
        filtered = _filters(subject, catalog)
        first: dict[str, IndexSpec] = {}
        for spec in candidates(subject):
            texts = filtered.get(spec.qualified, ())
            if any(quoted(spec.keys[0].column) in text for text in texts) and _bound(subject, spec):
                first.setdefault(spec.qualified, spec)
        for spec in first.values():
            wanted.setdefault(spec, []).append(subject.statement.fingerprint)
    return _merged(wanted)


_BY_VALUE = frozenset({Role.EQUALITY, Role.IN, Role.IS_NULL, Role.RANGE, Role.LIKE_PREFIX})


def _bound(subject: Subject, spec: IndexSpec) -> bool:
    """Whether every row must meet a condition on the leading column: one side of an OR promises nothing."""
    return any(
        use.conjunct and use.role in _BY_VALUE
        for column in subject.facts.columns
        if column.name == spec.keys[0].column
        for use in column.uses
    )


def _filters(subject: Subject, catalog: Catalog) -> dict[str, list[str]]:
    """Filters of sequential scans that keep few rows of a large table, by table; partitions by their root."""
    scans = [
        node for plan in subject.plans for node in plan.root.walk() if node.kind == "Seq Scan" and node.filter
    ]
    found: dict[str, list[str]] = {}
    for table in catalog.tables.values():
        root = catalog.root(table)
        if root in subject.tables and is_large(root):
            few = [
                node.filter for node in scans if node.relation == table.name and _keeps_few(node, table.rows)
            ]
            found.setdefault(root.qualified, []).extend(few)
    return found


def _keeps_few(node: PlanNode, rows: float) -> bool:
    return node.rows <= SELECTIVE_SHARE * rows


def _merged(wanted: dict[IndexSpec, list[str]]) -> dict[IndexSpec, tuple[str, ...]]:
    """An index whose keys lead another's is left to the other."""
    merged: dict[IndexSpec, list[str]] = {}
    for spec in sorted(wanted, key=lambda each: -len(each.keys)):
        wider = next((other for other in merged if other.covers(spec)), spec)
        merged.setdefault(wider, []).extend(wanted[spec])
    return {spec: tuple(dict.fromkeys(fingerprints)) for spec, fingerprints in merged.items()}
