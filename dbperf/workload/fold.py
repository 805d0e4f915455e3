"""Observations of SQL strings, folded into statements: one for each template, database and dialect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from dbperf.model.runtime import Figure, together
from dbperf.model.workload import (
    COUNTS,
    PARAMETER_SETS_KEPT,
    TIMES,
    Observed,
    Sample,
    Statement,
    Unseen,
    Workload,
    added_up,
    spread,
)
from dbperf.statements import Canonical, Template, canonical, template


def fold(
    observed: Iterable[Observed],
    coverage: Unseen = Unseen(),  # noqa: B008  it is frozen
    figures: Iterable[Figure] = (),
) -> Workload:
    """The workload of what capture observed, the statements that took longest in total first.

    A statement has samples only where parameters were kept: the literals of a SQL string, too, are an
    application's data, and a template has none of them.
    """
    return merge([Workload(tuple(map(_statement, observed)), coverage, figures=tuple(figures))])


def merge(workloads: Iterable[Workload]) -> Workload:
    """One workload of several, as if they had been observed together."""
    alike: defaultdict[tuple[str, str, str], list[Statement]] = defaultdict(list)
    coverage = Unseen()
    notes: dict[str, None] = {}
    figures: list[Figure] = []
    for workload in workloads:
        for each in workload.statements:
            alike[each.fingerprint, each.dialect, each.database].append(each)
        coverage += workload.coverage
        notes |= dict.fromkeys(workload.notes)
        figures += workload.figures
    statements = [_together(each) for each in alike.values()]
    statements.sort(key=lambda each: (-each.seconds, each.fingerprint))
    return Workload(tuple(statements), coverage, tuple(notes), together(figures))


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
        latency=observed.latency,
        call_sites=observed.call_sites,
        failures=observed.failures,
        operations=observed.operations,
        accesses=observed.accesses,
        samples=tuple(Sample(form.sql, form.arrange(each)) for each in observed.parameters),
        **{name: getattr(observed, name) for name in COUNTS},
        **{f"{name}_seconds": getattr(observed, f"{name}_ns") / 1e9 for name in TIMES},
    )


def _together(statements: Sequence[Statement]) -> Statement:
    return replace(added_up(statements), samples=_samples(statements))


def _samples(statements: Iterable[Statement]) -> tuple[Sample, ...]:
    # By repr: parameters may hold lists, and 1, 1.0 and True are different parameters.
    different = {repr(sample): sample for statement in statements for sample in statement.samples}
    return tuple(spread(list(different.values()), PARAMETER_SETS_KEPT))
