"""A verdict for every statement: *why not* is what users of such tools ask for most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbperf.advice.indexes.search import WORTHWHILE_COST, Found
from dbperf.advice.subject import Subject, is_small
from dbperf.model.catalog import Catalog, Table
from dbperf.model.facts import StatementFacts
from dbperf.model.index import IndexSpec
from dbperf.model.recommendation import Evidence, Recommendation

MANY_CALLS = 100

_NO_RULE = " (no rule advises on that yet)"
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
        if evidence.fingerprint == subject.statement.fingerprint
    ]
    if mine:
        also = f"; {_OFFSET}{_NO_RULE}" if subject.facts.offset else ""
        return "; ".join(_advised(each, evidence) for each, evidence in mine) + also + _repeats(subject)
    return _nothing(subject, catalog, found, rejected) + _repeats(subject)


def _advised(recommendation: Recommendation, evidence: Evidence) -> str:
    what = recommendation.title.split(" has no ")[-1]
    if evidence.seconds_before and evidence.seconds_after:
        times = evidence.seconds_before / evidence.seconds_after
        return f"missing {what}: {times:,.{0 if times >= 10 else 1}f}x faster, measured alone"
    if evidence.cost_after is not None:
        return f"missing {what}: planner cost {evidence.cost_before:,.0f} -> {evidence.cost_after:,.0f}"
    return f"perhaps missing {what}: not proven"


def _nothing(
    subject: Subject, catalog: Catalog, found: Found | None, rejected: Mapping[IndexSpec, str]
) -> str:
    if subject.facts.kind == "insert" and not subject.facts.filters:
        return "nothing to advise: an INSERT looks up no rows"
    if not subject.tables:
        return "nothing to advise: it reads no table of this database"
    if not subject.large_tables:
        return f"no index needed: reads only small tables ({', '.join(t.name for t in subject.tables)})"
    if subject.cost < WORTHWHILE_COST:
        return _fine(subject, catalog)
    return _no_index_helps(subject, found, rejected)


def _fine(subject: Subject, catalog: Catalog) -> str:
    if unindexed := _unindexed_references(subject, catalog):
        return (
            f"its own plan is fine, but each row it deletes is looked for in {', '.join(unindexed)}, "
            "a foreign key without an index"
        )
    used = sorted(frozenset().union(*(plan.indexes for plan in subject.plans)))
    return f"fine: uses {', '.join(used)}" if used else "fine: cheap as it is"


def _unindexed_references(subject: Subject, catalog: Catalog) -> list[str]:
    """Foreign keys that a DELETE checks row by row without an index: no plan shows that time."""
    if subject.facts.kind != "delete" or not subject.tables:
        return []
    target = subject.tables[0].qualified
    return [
        f"{table.name} ({', '.join(key.columns)})"
        for table in catalog.tables.values()
        for key in table.foreign_keys
        if key.target == target and not is_small(table) and not _leads_an_index(table, key.columns)
    ]


def _leads_an_index(table: Table, columns: Sequence[str]) -> bool:
    size = len(columns)
    return any(
        index.valid and not index.predicate and set(index.keys[:size]) == set(columns)
        for index in table.indexes
    )


def _no_index_helps(subject: Subject, found: Found | None, rejected: Mapping[IndexSpec, str]) -> str:
    because = _obstacles(subject)
    fingerprint = subject.statement.fingerprint
    for spec, why in rejected.items():
        if found and any(spec == trial.spec for trial in found.tried_on(fingerprint)):
            return f"no index helps: ({', '.join(spec.columns)}) was tried and, {why}"
    if found is None:
        return f"no index suggested: {because or 'the plan reads no large table for few rows'}"
    trials = found.tried_on(fingerprint)
    if not trials:
        failed = next((why for spec, why in found.failed.items() if spec.qualified in _names(subject)), "")
        return f"no index helps: {because or failed or 'the indexes it could use exist'}"
    best = min(trials, key=lambda trial: trial.cost(subject))
    tried = (
        f"best of {len(trials)} tried, {best.spec.table} ({', '.join(best.spec.columns)}): "
        f"planner cost {subject.cost:,.0f} -> {best.cost(subject):,.0f}"
    )
    return f"no index helps: {because}; {tried}" if because else f"no index helps: {tried}"


def _names(subject: Subject) -> set[str]:
    return {table.qualified for table in subject.tables}


def _obstacles(subject: Subject) -> str:
    """What in the text stands in the way of an index; no rule advises on these yet."""
    facts = subject.facts
    reasons = [f"{each.why_not} in {each.sql}" for each in facts.filters if each.why_not]
    if facts.offset:
        reasons.append(_OFFSET)
    if not facts.filters and not facts.joins and not facts.limit:
        reasons.append("it has no condition, so it reads every row")
    return "; ".join(reasons[:2]) + (_NO_RULE if reasons else "")


def _repeats(subject: Subject) -> str:
    """An N+1 shows as one line that runs a cheap statement many times."""
    sites = subject.statement.call_sites
    if not sites or sites[0].calls < MANY_CALLS:
        return ""
    return f"; ran {sites[0].calls:,} times from one line (a loop? no rule advises on that yet)"
