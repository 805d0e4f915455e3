"""What an index costs the writes of a workload."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbperf.advice.subject import Subject
from dbperf.model.facts import Role
from dbperf.model.index import IndexSpec


def write_cost(spec: IndexSpec, subjects: Sequence[Subject]) -> str:
    """What the captured writes of the table will pay."""
    inserts = _calls(each for each in subjects if each.facts.kind == "insert" and spec.table in each.written)
    updates = _calls(each for each in subjects if _updates(each, spec))
    if not inserts and not updates:
        return "no statement of this workload inserts into the table or updates these columns"
    paid = [f"{inserts:,} INSERT{'s' * (inserts > 1)}"] if inserts else []
    paid += [f"{updates:,} UPDATE{'s' * (updates > 1)} of its columns"] if updates else []
    return f"one more index to maintain for this workload's {' and '.join(paid)}"


def _calls(subjects: Iterable[Subject]) -> int:
    """Executions, each of an executemany counted; a statement that was given and not captured is one."""
    return sum(max(each.statement.calls, each.statement.parameter_sets, 1) for each in subjects)


def _updates(subject: Subject, spec: IndexSpec) -> bool:
    """Whether it updates a column of the index; ON CONFLICT DO UPDATE and MERGE may, too."""
    return subject.facts.kind != "insert" and any(
        Role.WRITTEN in column.roles
        for column in subject.facts.columns
        if column.name in spec.columns
        and column.table
        and spec.table in {column.table.name} & subject.written
    )
