"""What comes first, in every renderer that is read by people."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from dbperf.model.recommendation import Evidence, Recommendation
from dbperf.model.report import Coverage, Skipped
from dbperf.report.format import place


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """A line of the application, `place` as file:line; `calls` of all the statements that it runs."""

    place: str
    function: str
    calls: int


def application_lines(recommendation: Recommendation) -> list[ApplicationLine]:
    """Where a recommendation's statements come from, the busiest first."""
    calls: Counter[tuple[str, str]] = Counter()  # one line often runs several of the statements served
    for site in recommendation.call_sites:
        calls[place(site), site.function] += site.calls
    return [ApplicationLine(where, function, number) for (where, function), number in calls.most_common()]


def ranked_evidence(recommendation: Recommendation) -> list[Evidence]:
    """The evidence, the largest gain over all calls first."""
    return sorted(recommendation.evidence, key=_gain, reverse=True)


def reasons(coverage: Coverage) -> list[tuple[str, list[Skipped]]]:
    """The skipped statements by reason, the most frequent first."""
    grouped = defaultdict(list)
    for each in coverage.skipped:
        grouped[each.reason].append(each)
    return sorted(grouped.items(), key=lambda item: -len(item[1]))


def _gain(evidence: Evidence) -> tuple[float, float]:
    seconds = (evidence.seconds_before or 0.0) - (evidence.seconds_after or 0.0)
    before, after = evidence.cost_before, evidence.cost_after
    units = before - after if before is not None and after is not None else 0.0
    calls = max(evidence.calls, 1)  # a statement that was given and not captured has none
    return seconds * calls + (evidence.seconds_saved or 0.0), units * calls
