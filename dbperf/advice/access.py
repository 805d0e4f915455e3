"""How statements are used, judged by the rules DBP4xx: from what was captured alone, on no database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dbperf.advice.round_trip import RoundTrip, round_trip
from dbperf.advice.severity import severity
from dbperf.model.facts import StatementFacts
from dbperf.model.recommendation import Evidence, Level, Recommendation, Verification
from dbperf.model.workload import Access, CallSite, Statement, Workload, called
from dbperf.report.format import duration, place, plural


@dataclass(frozen=True)
class Traffic:
    """What a rule judges: statements with their facts, among all that was captured."""

    workload: Workload
    uses: Sequence[tuple[Statement, StatementFacts]]

    @cached_property
    def _round_trips(self) -> Mapping[str, RoundTrip]:
        databases = {statement.database for statement, _ in self.uses}
        return {each: round_trip(self.workload, each) for each in databases}

    def round_trip(self, statement: Statement) -> RoundTrip:
        """That of the database of a statement."""
        return self._round_trips[statement.database]


@dataclass(frozen=True, slots=True)
class Use:
    """A statement, one way it is used, and how many of its executions need not be."""

    statement: Statement
    facts: StatementFacts
    access: Access
    spared: int


@dataclass(frozen=True, slots=True)
class Case:
    """What speaks for a finding: the statements, and the lines of the application that are to change."""

    tables: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    call_sites: tuple[CallSite, ...]
    method: str


def case(uses: Sequence[Use], traffic: Traffic) -> Case:
    """Of uses that one change would do away with, each priced at a round trip an execution."""
    trips = dict.fromkeys(traffic.round_trip(each.statement) for each in uses if each.spared)
    return Case(
        tables=tables(each.facts for each in uses),
        evidence=tuple(_evidence(each, traffic) for each in _by_statement(uses)),
        call_sites=_sites(uses),
        method=" and ".join(map(_priced, trips)) or "counted, without a price",
    )


def recommendation(
    identity: str, slug: str, found: Case, traffic: Traffic, *, title: str, fix: str, risk: str
) -> Recommendation:
    """The finding on a case; `identity` is "CODE:key", the key telling it from others of its rule."""
    saved = sum(each.seconds_saved or 0.0 for each in found.evidence)
    return Recommendation(
        id=identity,
        code=identity.partition(":")[0],
        slug=slug,
        severity=severity(saved, traffic.workload.seconds),
        title=title,
        tables=found.tables,
        statements=tuple(each.fingerprint for each in found.evidence),
        call_sites=found.call_sites,
        ddl=(),
        fix=fix,
        evidence=found.evidence,
        verification=Verification(Level.ESTIMATED, found.method),
        risk=risk,
    )


def tables(facts: Iterable[StatementFacts]) -> tuple[str, ...]:
    """The names of the tables of some statements, each once."""
    return tuple(dict.fromkeys(table.name for each in facts for table in each.tables))


def operations(accesses: Iterable[Access]) -> str:
    """Where it happened: `187 runs of GET /users`, `12 runs of GET /users and 2 other operations`."""
    runs: dict[str, int] = {}
    for each in accesses:
        runs[each.operation] = runs.get(each.operation, 0) + each.operations
    name, _ = max(runs.items(), key=lambda item: item[1])
    total = sum(runs.values())
    others = f" and {plural(len(runs) - 1, 'other operation')}" if len(runs) > 1 else ""
    return (
        f"{plural(total, 'run')} of {name}{others}"
        if name
        else f"{plural(total, 'use')} of a connection{others}"
    )


def stable(site: CallSite | None) -> str:
    """A place that is the same in every checkout, and when lines above it change: `shop/sync.py:orders`."""
    return f"{'/'.join(site.file.replace(chr(92), '/').split('/')[-2:])}:{site.function}" if site else ""


def where(site: CallSite | None) -> str:
    """`in shop/sync.py:43`, to be put into a sentence; empty where the line is not known."""
    return f"in {place(site)} " if site else ""


def _by_statement(uses: Sequence[Use]) -> Iterator[list[Use]]:
    for fingerprint in dict.fromkeys(each.statement.fingerprint for each in uses):
        yield [each for each in uses if each.statement.fingerprint == fingerprint]


def _evidence(uses: Sequence[Use], traffic: Traffic) -> Evidence:
    statement = uses[0].statement
    calls, spared = sum(each.access.calls for each in uses), sum(each.spared for each in uses)
    taken = sum(each.access.nanoseconds for each in uses) / 1e9
    saved = min(spared * traffic.round_trip(statement).seconds, taken * spared / calls if calls else 0.0)
    runs = "" if uses[0].access.kind == "eager" else f" in {operations(each.access for each in uses)}"
    usage = f"{plural(calls, 'execution')}{runs} took {duration(taken)}"
    return Evidence(
        fingerprint=statement.fingerprint,
        sql=statement.sql,
        calls=statement.calls,
        usage=usage
        + (f"; {plural(spared, 'round trip')} fewer save at least {duration(saved)}" if spared else ""),
        seconds_saved=saved if spared else None,
    )


def _priced(trip: RoundTrip) -> str:
    return (
        f"the executions spared, times the round trip of {duration(trip.seconds)} measured at {trip.source}"
    )


def _sites(uses: Sequence[Use]) -> tuple[CallSite, ...]:
    """The lines that run the statements, and those that loaded the instances meanwhile, without a count."""
    lines = [each.access.site.at(each.access.calls) for each in uses if each.access.site]
    parents = [each.access.parent.at(0) for each in uses if each.access.parent]
    return called([*lines, *parents])
