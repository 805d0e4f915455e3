"""One statement explained, and executed where that may be done."""

from __future__ import annotations

from dbperf.advice.subject import prepare
from dbperf.advice.verdicts import not_planned
from dbperf.advice.verify import RUN_TIMEOUT, why_not_timed
from dbperf.errors import StatementError
from dbperf.model.explained import Explained
from dbperf.model.workload import Sample
from dbperf.plans.shares import shares
from dbperf.plans.target import Target
from dbperf.workload.sources.sql_files import given


def explained(sql: str, line: int, target: Target, *, execute: bool = False) -> Explained:
    """The plan of a statement as a person typed it, with placeholders of any driver.

    It is planned with the costliest of the values that its parameters may have. With `execute` it is also
    run, if it is proven to have no side effect. Raises StatementError.
    """
    statement = given(sql, target.catalog.dialect)
    facts = target.facts(statement)
    if facts.parsed and (reason := not_planned(facts)):
        raise StatementError(reason)
    subject = prepare(statement, facts, target.catalog, target.plan)
    plan, sample = max(
        zip(subject.plans, subject.sets.samples or (Sample(statement.sql),), strict=True),
        key=lambda pair: pair[0].cost,
    )
    untimed = ""
    if execute:
        untimed = why_not_timed(subject, target.catalog) if facts.parsed else facts.reason
        ran = None if untimed else target.executed(sample.sql, sample.parameters, RUN_TIMEOUT)
        plan = ran or plan
        if not ran:
            untimed = untimed or "this database does not tell what the nodes of a plan take"
    return Explained(
        sql=sample.sql,
        line=line,
        plan=plan,
        shares=shares(plan),
        parameters=subject.sets.origin if sample.parameters or plan.generic else "none",
        values=sample.parameters,
        sets=len(subject.sets.samples),
        untimed=untimed,
        complexity=facts.complexity if facts.parsed else None,
    )
