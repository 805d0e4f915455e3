"""One statement explained, and executed where that may be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dbperf.advice.subject import Explain, prepare
from dbperf.advice.verdicts import not_planned
from dbperf.advice.verify import why_not_timed
from dbperf.errors import StatementError
from dbperf.model.catalog import Catalog
from dbperf.model.explained import Explained
from dbperf.model.facts import StatementFacts
from dbperf.model.plan import Plan
from dbperf.model.workload import Sample, Statement
from dbperf.plans.shares import shares
from dbperf.statements import canonical, template

Execute = Callable[[str, Sequence[Any]], Plan]


def given(sql: str, dialect: str) -> Statement:
    """A statement as a person typed it, with placeholders of any driver."""
    form = canonical(sql, "auto")
    return Statement(
        sql=form.sql,
        fingerprint=template(form.sql, dialect).fingerprint,
        dialect=dialect,
        database="",
        samples=() if form.names else (Sample(form.sql),),
    )


def explained(
    statement: Statement,
    line: int,
    facts: StatementFacts,
    catalog: Catalog,
    explain: Explain,
    execute: Execute | None = None,
) -> Explained:
    """The plan of a statement, with the costliest of the values that its parameters may have.

    With `execute` it is also run, if it is proven to have no side effect. Raises StatementError.
    """
    if facts.parsed and (reason := not_planned(facts)):
        raise StatementError(reason)
    subject = prepare(statement, facts, catalog, explain)
    plan, sample = max(
        zip(subject.plans, subject.sets.samples or (Sample(statement.sql),), strict=True),
        key=lambda pair: pair[0].cost,
    )
    untimed = ""
    if execute:
        untimed = why_not_timed(subject, catalog) if facts.parsed else facts.reason
        plan = plan if untimed else execute(sample.sql, sample.parameters)
    return Explained(
        sql=sample.sql,
        line=line,
        plan=plan,
        shares=shares(plan),
        parameters=subject.sets.origin if sample.parameters or plan.generic else "none",
        values=sample.parameters,
        sets=len(subject.sets.samples),
        untimed=untimed,
    )
