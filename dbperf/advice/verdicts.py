"""A verdict for every statement: *why not* is what users of such tools ask for most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dbperf.advice.indexes.candidates import candidates
from dbperf.advice.indexes.search import Found, Trial
from dbperf.advice.rules.missing_index import SLOWER
from dbperf.advice.subject import Subject, is_large
from dbperf.model.catalog import Catalog, Table
from dbperf.model.facts import StatementFacts
from dbperf.model.index import IndexSpec
from dbperf.model.recommendation import Evidence, Recommendation
from dbperf.plans.target import CostUnit

SLOW_SECONDS = 0.1
"""A call that took longer is not fine because its plan is cheap."""

_OFFSET = "OFFSET reads and drops every row before the page"

_NOT_PLANNED = {
    "transaction": "transaction control: nothing to plan",
    "ddl": "changes the schema: nothing to plan",
    "utility": "not a query: nothing to plan",
}


def not_planned(facts: StatementFacts) -> str:
    """Why a statement is not explained by its kind alone, empty if it is to be."""
    return _NOT_PLANNED.get(facts.kind, "") if facts.parsed else f"not judged: {facts.reason}"


def verdict(
    subject: Subject,
    catalog: Catalog,
    recommendations: Sequence[Recommendation],
    found: Found | None,
    rejected: Mapping[IndexSpec, str],
) -> str:
    """What to do about an explained statement, or why nothing."""
    mine = [
        (each, evidence)
        for each in recommendations
        for evidence in each.evidence
        if evidence.fingerprint == subject.statement.fingerprint and not evidence.usage
    ]
    if mine:
        also = f"; {_OFFSET}" if subject.facts.offset else ""
        advised = "; ".join(_advised(each, evidence, subject.unit) for each, evidence in mine)
        return advised + also
    return _nothing(subject, catalog, found, rejected)


def on_use(fingerprint: str, recommendations: Sequence[Recommendation]) -> Iterator[str]:
    """What is said of how a statement is used, whether it was explained or not."""
    for each in recommendations:
        if any(evidence.fingerprint == fingerprint and evidence.usage for evidence in each.evidence):
            yield each.title


def _advised(recommendation: Recommendation, evidence: Evidence, unit: CostUnit) -> str:
    what = recommendation.title.split(" has no ")[-1]
    if evidence.seconds_before and evidence.seconds_after:
        times = evidence.seconds_before / evidence.seconds_after
        if times < SLOWER:
            return f"missing {what}: no faster, measured alone"
        return f"missing {what}: {times:,.{0 if times >= 10 else 1}f}x faster, measured alone"
    if evidence.cost_before is not None and evidence.cost_after is not None:
        return f"missing {what}: {unit.name} {evidence.cost_before:,.0f} -> {evidence.cost_after:,.0f}"
    return f"perhaps missing {what}: not proven"


def _nothing(
    subject: Subject, catalog: Catalog, found: Found | None, rejected: Mapping[IndexSpec, str]
) -> str:
    if subject.facts.kind == "insert" and not subject.read:
        return "nothing to advise: an INSERT looks up no rows"
    if through := _through(subject, catalog):
        return f"not judged: it reads {through}"
    if not subject.tables:
        return "nothing to advise: it reads no table of this database"
    if not any(is_large(table) for table in subject.tables):
        return f"no index needed: reads only small tables ({', '.join(t.name for t in subject.tables)})"
    if not subject.expensive:
        return _fine(subject, catalog)
    return _no_index_helps(subject, found, rejected)


def _through(subject: Subject, catalog: Catalog) -> str:
    """What the plan reads that the text does not name, which no candidate is made for."""
    if foreign := [table.name for table in subject.tables if table.kind == "f"]:
        return f"a foreign table ({', '.join(foreign)}), whose indexes are elsewhere"
    named = {table.name for table in subject.tables}
    known = [table for table in catalog.tables.values() if is_large(table) and table.name in subject.read]
    hidden = sorted({table.name for table in known if not {table.name, catalog.root(table).name} & named})
    if not hidden or not subject.expensive:
        return ""
    behind = [table for table in subject.tables if table.kind == "v" or not is_large(table)]
    outer = f" through {', '.join(table.name for table in behind)}" if behind else ""
    return f"{', '.join(hidden)}{outer}, and no rule looks through views and inheritance"


def _fine(subject: Subject, catalog: Catalog) -> str:
    if unindexed := _unindexed_references(subject, catalog):
        checked = "" if catalog.dialect == "postgresql" else ", where foreign keys are enforced"
        return (
            f"its own plan is fine, but each row it deletes is looked for in {', '.join(unindexed)}, "
            f"a foreign key without an index{checked}"
        )
    if (seconds := subject.statement.mean_seconds) > SLOW_SECONDS:
        return (
            f"not explained by its plan: a call took {seconds:,.2f} s, yet there is little to do "
            f"({subject.unit.name} {subject.cost:,.0f}): it waited, there were more rows than expected, or "
            f"an index came since"
        )
    used = sorted(frozenset().union(*(plan.indexes for plan in subject.plans)))
    return f"fine: uses {', '.join(used)}" if used else "fine: cheap as it is"


def _unindexed_references(subject: Subject, catalog: Catalog) -> list[str]:
    """Foreign keys that a DELETE checks row by row without an index: no plan shows that time."""
    if subject.facts.kind != "delete":
        return []
    targets = {table.qualified for table in subject.tables if table.name in subject.written}
    return [
        f"{table.name} ({', '.join(key.columns)})"
        for table in catalog.tables.values()
        for key in table.foreign_keys
        if key.target in targets and is_large(table) and not _leads_an_index(table, key.columns)
    ]


def _leads_an_index(table: Table, columns: Sequence[str]) -> bool:
    size = len(columns)
    return any(
        index.valid and not index.predicate and set(index.keys[:size]) == set(columns)
        for index in table.indexes
    )


def _no_index_helps(subject: Subject, found: Found | None, rejected: Mapping[IndexSpec, str]) -> str:
    because = _obstacles(subject)
    if found is None:
        return f"no index suggested: {because or _unknown(subject) or _READS_MANY}"
    trials = found.tried_on(subject.statement.fingerprint)
    for trial in trials:
        if trial.spec in rejected and trial.helps(subject):
            return f"no index advised: {_cost(trial, subject)}, but {rejected[trial.spec]}"
    if failed := [found.failed[spec] for spec in candidates(subject) if spec in found.failed]:
        return f"not judged: {failed[0]}"
    if not trials:
        return f"no index suggested: {because or 'no condition or sort asks for one that is missing'}"
    best = min(trials, key=lambda trial: trial.cost(subject))
    alone = ", each alone" if len(trials) > 1 else ""
    tried = f"best of {len(trials)} tried{alone}, {_cost(best, subject)}"
    return f"no index helps: {because}; {tried}" if because else f"no index helps: {tried}"


_READS_MANY = "the plan filters no large table down to few rows"


def _unknown(subject: Subject) -> str:
    """Tables without statistics, where the planner's number of rows is a guess."""
    never = [
        table.name for table in subject.tables if is_large(table) and table.rows < 0 and table.kind != "p"
    ]
    return (
        f"{', '.join(never)} was never analyzed, so nothing is known of its rows (run ANALYZE)"
        if never
        else ""
    )


def _cost(trial: Trial, subject: Subject) -> str:
    index = f"{trial.spec.table} ({', '.join(trial.spec.columns)})"
    return f"{index}: {subject.unit.name} {subject.cost:,.0f} -> {trial.cost(subject):,.0f}"


def _obstacles(subject: Subject) -> str:
    """What in the text stands in the way of an index."""
    facts = subject.facts
    conditions = [each for each in facts.filters if each.clause == "where"]
    reasons = [f"{each.why_not} in {each.sql}" for each in conditions if each.why_not]
    if facts.offset:
        reasons.append(_OFFSET)
    if not conditions and not facts.joins and not facts.limit:
        reasons.append("it has no condition, so it reads every row")
    return "; ".join(reasons[:2])
