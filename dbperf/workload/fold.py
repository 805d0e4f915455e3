"""Observations of SQL strings, folded into statements: one for each template, database and dialect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from dbperf.model.histogram import merged
from dbperf.model.workload import (
    PARAMETER_SETS_KEPT,
    Observed,
    Sample,
    Statement,
    Unseen,
    Workload,
    called,
    spread,
)
from dbperf.statements import Canonical, Template, canonical, template


def fold(observed: Iterable[Observed], coverage: Unseen = Unseen()) -> Workload:  # noqa: B008  it is frozen
    """The workload of what capture observed, the statements that took longest in total first.

    A statement has samples only where parameters were kept: the literals of a SQL string, too, are an
    application's data, and a template has none of them.
    """
    return merge([Workload(tuple(_statement(each) for each in observed), coverage)])


def merge(workloads: Iterable[Workload]) -> Workload:
    """One workload of several, as if they had been observed together."""
    alike: defaultdict[tuple[str, str, str], list[Statement]] = defaultdict(list)
    coverage = Unseen()
    notes: dict[str, None] = {}
    for workload in workloads:
        for each in workload.statements:
            alike[each.fingerprint, each.dialect, each.database].append(each)
        coverage += workload.coverage
        notes |= dict.fromkeys(workload.notes)
    statements = [_together(each) for each in alike.values()]
    statements.sort(key=lambda each: (-each.execute_seconds, each.fingerprint))
    return Workload(tuple(statements), coverage, tuple(notes))


# Keyed by what was sent: an application sends the same strings again and again, and parsing one takes
# up to 3 ms. Twice the default of `max_statements`, for a process with two engines.
@lru_cache(maxsize=10_000)
def _recognise(sql: str, paramstyle: str, dialect: str) -> tuple[Canonical, Template]:
    form = canonical(sql, paramstyle)
    return form, template(form.sql, dialect)


def _statement(observed: Observed) -> Statement:
    form, shape = _recognise(observed.sql, observed.paramstyle, observed.dialect)
    return Statement(
        sql=shape.sql,
        fingerprint=shape.fingerprint,
        dialect=observed.dialect,
        database=observed.database,
        calls=observed.calls,
        parameter_sets=observed.parameter_sets,
        rows=observed.rows,
        errors=observed.errors,
        cancellations=observed.cancellations,
        execute_seconds=observed.execute_ns / 1e9,
        latency=observed.latency,
        call_sites=observed.call_sites,
        samples=tuple(Sample(form.sql, form.arrange(each)) for each in observed.parameters),
    )


def _together(statements: Sequence[Statement]) -> Statement:
    first = statements[0]
    return Statement(
        sql=first.sql,
        fingerprint=first.fingerprint,
        dialect=first.dialect,
        database=first.database,
        calls=sum(each.calls for each in statements),
        parameter_sets=sum(each.parameter_sets for each in statements),
        rows=sum(each.rows for each in statements),
        errors=sum(each.errors for each in statements),
        cancellations=sum(each.cancellations for each in statements),
        execute_seconds=sum(each.execute_seconds for each in statements),
        latency=merged(each.latency for each in statements),
        call_sites=called(site for each in statements for site in each.call_sites),
        samples=_samples(statements),
    )


def _samples(statements: Iterable[Statement]) -> tuple[Sample, ...]:
    # By repr: parameters may hold lists, and 1, 1.0 and True are different parameters.
    different = {repr(sample): sample for statement in statements for sample in statement.samples}
    return tuple(spread(list(different.values()), PARAMETER_SETS_KEPT))
