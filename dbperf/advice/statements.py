"""The rules on what statements say, DBP3xx: judged from their text, and the catalog where there is one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Final

from dbperf.advice import rules
from dbperf.advice.access import tables
from dbperf.advice.reading import Finding, Reading
from dbperf.advice.severity import severity
from dbperf.model.catalog import Catalog
from dbperf.model.facts import StatementFacts
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.workload import Statement, Workload, called
from dbperf.report.format import duration, plural

RULES: Final = tuple(each for each in rules.RULES if each.CODE.startswith("DBP3"))

Found = tuple[Reading, Finding]
Ignored = Callable[[str, Statement], bool]
"""Whether a rule, by its code, is to be left out for a statement."""


def on_statements(
    workload: Workload,
    uses: Sequence[tuple[Statement, StatementFacts]],
    catalog: Catalog | None = None,
    ignored: Ignored = lambda _code, _statement: False,
) -> tuple[Recommendation, ...]:
    """What the rules find in statements with their facts, what took most time first.

    A statement for which a rule is `ignored` has no part in a finding that others have too.
    """
    found: dict[tuple[ModuleType, str], list[Found]] = {}
    for statement, facts in uses:
        reading = Reading(statement, facts, catalog)
        for rule in RULES if facts.parsed else ():
            for finding in _read(rule, reading):
                found.setdefault((rule, finding.key or statement.fingerprint), []).append((reading, finding))
    advised = [
        _recommendation(rule, key, _heard(rule, group, ignored) or group, workload)
        for (rule, key), group in found.items()
    ]
    seconds = {each.fingerprint: each.seconds for each in workload.statements}
    return tuple(sorted(advised, key=lambda each: -sum(seconds.get(of, 0.0) for of in each.statements)))


def _heard(rule: ModuleType, group: Sequence[Found], ignored: Ignored) -> list[Found]:
    return [each for each in group if not ignored(rule.CODE, each[0].statement)]


def _read(rule: ModuleType, reading: Reading) -> Sequence[Finding]:
    """What a rule finds in a statement. One that fails on a text that nobody thought of says so on the log,
    once, and the others go on.
    """
    try:
        return tuple(rule.read(reading))
    except Exception as failure:  # noqa: BLE001  whatever it is, the rest of the report is worth having
        _say_once(rule.CODE, type(failure).__name__)
        return ()


@functools.cache
def _say_once(code: str, name: str) -> None:
    logging.getLogger("dbperf").warning("rule %s failed on a statement (%s)", code, name)


def _recommendation(rule: ModuleType, key: str, group: Sequence[Found], workload: Workload) -> Recommendation:
    """One recommendation for what a rule found in some statements."""
    readings = list({each.statement.fingerprint: each for each, _ in group}.values())
    first = group[0][1]
    seconds = sum(each.statement.seconds for each in readings)
    assumed = dict.fromkeys(finding.assumed for _, finding in group if finding.assumed)
    method = "read from the text" + (" and the catalog" if readings[0].catalog else "")
    named = [ref.name for ref in first.tables] or tables([readings[0].facts])
    return Recommendation(
        id=f"{rule.CODE}:{key}",
        code=rule.CODE,
        slug=rule.SLUG,
        # How much of their time the change saves is not known.
        severity=min(severity(seconds, workload.seconds), Severity.WARNING, key=lambda each: each.rank),
        title=first.title,
        tables=tuple(dict.fromkeys(named)),
        statements=tuple(each.statement.fingerprint for each in readings),
        call_sites=called(site for each in readings for site in each.statement.call_sites),
        ddl=first.ddl,
        fix=first.fix,
        evidence=tuple(_evidence(each.statement, _whys(each, group)) for each in readings),
        verification=Verification(
            Level.UNVERIFIED, method + "".join(f"; assumed {each}" for each in assumed)
        ),
        # The value of the first may be a constant, and without the risk that another has.
        risk=next((finding.risk for _, finding in group if finding.risk), ""),
    )


def _whys(reading: Reading, group: Iterable[Found]) -> Iterator[str]:
    return (finding.why for each, finding in group if each is reading)


def _evidence(statement: Statement, whys: Iterable[str]) -> Evidence:
    ran = (
        f"{plural(statement.calls, 'execution')} took {duration(statement.seconds)}; "
        if statement.calls
        else ""
    )
    return Evidence(
        fingerprint=statement.fingerprint,
        sql=statement.sql,
        calls=statement.calls,
        usage=ran + "; ".join(dict.fromkeys(whys)),
    )
