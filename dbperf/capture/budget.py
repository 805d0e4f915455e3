"""dbperf measures what it costs itself, and leaves out detail when that is too much."""

from __future__ import annotations

from dbperf.capture.recorder import ONE_IN, Recorder

_ANOTHER_TURN_NS = 1_000_000
_SMOOTHING = 16
_PATIENCE = 256
_WORST = 2


def account(mine: Recorder, nanoseconds: int, budget_ns: float) -> None:
    """Count what dbperf took for an execution; decide how much detail the next ones get.

    Above the budget, in the mean of the last 16 or so measured, call sites are left out, then the rest. After
    256 measured it is tried again with more: what was slow may have been the machine. A measurement above 1
    ms is none: another thread had its turn.
    """
    mine.left = ONE_IN
    if nanoseconds > _ANOTHER_TURN_NS:
        return
    mine.own_ns += nanoseconds
    mine.own_calls += 1
    mine.recent_ns += (nanoseconds - mine.recent_ns) / _SMOOTHING
    mine.since += 1
    if mine.recent_ns > budget_ns and mine.shed < _WORST and mine.since >= _SMOOTHING:
        mine.shed, mine.since = mine.shed + 1, 0
    elif mine.shed and mine.since >= _PATIENCE:
        mine.shed, mine.since, mine.recent_ns = mine.shed - 1, 0, 0.0
