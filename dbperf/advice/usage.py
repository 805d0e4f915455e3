"""The rules on how statements are used, DBP4xx: judged from what was captured alone, no database is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbperf.advice.access import Traffic
from dbperf.advice.rules import n_plus_one, over_fetch, repeated_query
from dbperf.model.facts import StatementFacts
from dbperf.model.recommendation import Recommendation
from dbperf.model.workload import Statement, Workload
from dbperf.statements import analyze_statement

RULES: Final = (n_plus_one, repeated_query, over_fetch)


def on_usage(
    workload: Workload, uses: Sequence[tuple[Statement, StatementFacts]] | None = None
) -> tuple[Recommendation, ...]:
    """What the rules find in a workload, what saves most first.

    `uses` are the statements to judge, with their facts; without, those of the workload that something is
    known of, which are parsed for it.
    """
    if uses is None:
        told = (each for each in workload.statements if each.accesses or each.unread_rows)
        uses = [(each, analyze_statement(each.sql, each.dialect)) for each in told]
    traffic = Traffic(workload, uses)
    found = [each for rule in RULES for each in rule.recommend(traffic)]
    return tuple(sorted(found, key=saved_seconds, reverse=True))


def saved_seconds(recommendation: Recommendation) -> float:
    """Seconds of the captured time that a finding on usage saves at least."""
    return sum(each.seconds_saved or 0.0 for each in recommendation.evidence)
