"""Where nothing may be built: the index that the plan and the statistics alone suggest, promising nothing."""

from __future__ import annotations

from collections.abc import Sequence

from dbperf.advice.indexes.candidates import candidates
from dbperf.advice.indexes.search import WORTHWHILE_COST
from dbperf.advice.subject import Subject
from dbperf.model.catalog import Table
from dbperf.model.index import IndexSpec

SELECTIVE_SHARE = 0.1
"""A scan that keeps more than this share of a table is read faster in one go than through an index."""


def suggest(subjects: Sequence[Subject]) -> dict[IndexSpec, tuple[str, ...]]:
    """For each sequential scan of a large table for few rows: the first candidate, and the fingerprints."""
    wanted: dict[IndexSpec, list[str]] = {}
    for subject in subjects:
        if subject.cost < WORTHWHILE_COST:
            continue
        scanned = {table.qualified for table in subject.large_tables if _scanned_for_few(subject, table)}
        for name in scanned:
            spec = next((each for each in candidates(subject) if each.qualified == name), None)
            if spec is not None:
                wanted.setdefault(spec, []).append(subject.statement.fingerprint)
    return _merged(wanted)


def _scanned_for_few(subject: Subject, table: Table) -> bool:
    return any(
        node.kind == "Seq Scan" and node.relation == table.name and node.rows <= SELECTIVE_SHARE * table.rows
        for plan in subject.plans
        for node in plan.root.walk()
    )


def _merged(wanted: dict[IndexSpec, list[str]]) -> dict[IndexSpec, tuple[str, ...]]:
    """An index whose keys lead another's is left to the other."""
    merged: dict[IndexSpec, list[str]] = {}
    for spec in sorted(wanted, key=lambda each: -len(each.keys)):
        wider = next((other for other in merged if other.covers(spec)), spec)
        merged.setdefault(wider, []).extend(wanted[spec])
    return {spec: tuple(dict.fromkeys(fingerprints)) for spec, fingerprints in merged.items()}
