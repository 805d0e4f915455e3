"""What the controller remembers between two looks, and what it reads from a look in the light of that.

Counts of transactions scatter. That the workload has become another one is told from scatter with two sums of
deviations (CUSUM, Page 1954), one for more than was expected and one for less.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp, sqrt

from dbperf.pool.contract import Observation
from dbperf.pool.shapes import Evidence

MEMORY = 12.0
"""Seconds after which what was seen counts half."""
DRIFTED = 5.0
"""Standard deviations in one of the two sums that are no chance."""
DOUBT = 40.0
"""Seconds at one limit after which the workload has become another unnoticed, with odds of 1 - 1/e: at one
limit a database that is busy and one that is far away may give the very same throughput."""


@dataclass(frozen=True, slots=True)
class State:
    """What the controller remembers between two looks. Rates per second, times in seconds."""

    early: Observation | None = None
    """What was seen in looks too short to judge."""
    evidence: Evidence = field(default_factory=Evidence)
    share: float = 1.0
    """Of the connections in use, those that execute, smoothed."""
    scatter: float = 1.5
    """Variance of counts over their mean, smoothed."""
    last: float = 0.0
    """Transactions a second of the last look that counted, 0 when the limit has changed since."""
    counted: float = 0.0
    """Seconds seen at the present limit, once it had taken effect."""
    looks: int = 0
    """In how many looks."""
    count: float = 0.0
    """Transactions seen in those, and for how long. The first look, in which what was added is only just
    beginning, is in it for as long as there is no other."""
    over: float = 0.0
    drift: tuple[float, float] = (0.0, 0.0)
    """Sums of how far counts were above and below what was expected, in standard deviations (CUSUM)."""
    hold: float = 0.0
    """Mean hold of late."""
    rate: float = 0.0
    """Transactions a second of late."""
    lag: float = 0.0
    crowd: float = 0.0
    """Those that use or wait for a connection, smoothed."""
    mixes: int = 0
    """Looks in a row in which so many that execute are not chance."""
    doubt: float = 0.0
    """Probability that the workload has become another unnoticed, since the limit last was chosen anew."""
    since: float = 0.0
    """How long the limit has been what it is."""
    before: tuple[int, float] = (0, 0.0)
    """The limit before the present one and the rate there, until judged; 0 when there is nothing to judge."""
    trial: float = 0.0
    """Seconds that the present limit is to be seen at, as it was chosen to learn; 0 when it was not."""
    proven: int = 16
    """What a queue may have at once: the last limit that demand was served with."""
    stalled: float = 0.0
    """For how long nothing came back."""
    unstalled: int = 0
    """The limit before the stall."""


def joined(early: Observation, seen: Observation) -> Observation:
    """Two looks as one."""
    seconds = early.seconds + seen.seconds
    mean = (early.seconds / seconds, seen.seconds / seconds) if seconds > 0 else (0.0, 1.0)
    return replace(
        seen,
        seconds=seconds,
        busy=mean[0] * early.busy + mean[1] * seen.busy,
        peak=max(early.peak, seen.peak),
        queued=mean[0] * early.queued + mean[1] * seen.queued,
        arrivals=early.arrivals + seen.arrivals,
        returned=early.returned + seen.returned,
        held=early.held + seen.held,
        lag=max(early.lag, seen.lag),
    )


def share(seen: Observation) -> float:
    """Of the connections in use, those that execute: all, where the driver does not tell."""
    now = seen.executing + seen.idle_in_transaction + seen.idle
    return seen.executing / now if now else 1.0


def smoothed(state: State, seen: Observation) -> State:
    """With the means of late moved towards this look, and with doubt where the number of clients jumped."""
    executes = share(seen)
    rate = seen.returned / seen.seconds
    hold = seen.held / seen.returned if seen.returned else max(state.hold, seen.oldest)
    fresh = 0.4 if state.rate else 1.0
    crowd = seen.busy + seen.waiting
    doubt = 1 - (1 - state.doubt) * exp(-seen.seconds / DOUBT)
    if abs(crowd - state.crowd) > max(8.0, 0.3 * state.crowd):
        doubt = max(0.5, doubt)
    return replace(
        state,
        # A mix that is not the one of late is either chance, or the next look says so too.
        share=state.share if state.mixes == 1 else state.share + fresh * (executes - state.share),
        rate=state.rate + fresh * (rate - state.rate),
        hold=state.hold + fresh * (hold - state.hold),
        lag=state.lag + 0.5 * (seen.lag - state.lag),
        crowd=state.crowd + 0.5 * fresh * (crowd - state.crowd) if state.crowd else crowd,
        doubt=doubt,
        since=state.since + seen.seconds,
    )


def ramped(state: State, seen: Observation, limit: int) -> Observation:
    """Without the first mean hold after growth, in which those that were added cannot have come back yet."""
    before, rate = state.before
    hold = max(state.hold, seen.held / max(1, seen.returned))
    if state.since or not 0 < before < limit or hold > seen.seconds / 2:
        return seen
    returned = max(0, round(seen.returned - (rate or state.rate) * hold))
    return replace(seen, seconds=seen.seconds - hold, returned=returned)


def hangs(state: State, seen: Observation) -> bool:
    """Whether a stall may have begun within this look, which then tells nothing."""
    due = state.rate * seen.seconds
    if seen.returned >= 4 and seen.oldest < 2 * seen.held / seen.returned:
        return False
    return due >= 4 and seen.returned < 0.6 * due and seen.oldest > max(2 * state.hold, 0.4 * seen.seconds)


def mixed(state: State, seen: Observation) -> State:
    """With one more look, if so many that execute are not chance, were their share the one of late."""
    now = seen.executing + seen.idle_in_transaction + seen.idle
    share = min(0.95, max(0.05, state.share))
    other = now >= 4 and abs(seen.executing - now * state.share) > 5 * sqrt(now * share * (1 - share) + 1)
    return replace(state, mixes=state.mixes + 1 if other else 0)


def deviation(state: State, seen: Observation) -> float:
    """Of the count, in standard deviations; 0 where there is nothing to compare with yet."""
    if not state.looks:
        return 0.0
    expected = max(1.0, state.count / state.over * seen.seconds)
    variance = state.scatter * expected * (1 + seen.seconds / state.over) + (0.05 * expected) ** 2
    found = (seen.returned - expected) / sqrt(variance)
    return found if state.looks > 1 else min(0.0, found)  # more than in the first look is no surprise


def drifted(state: State, seen: Observation) -> State:
    """With the deviation of this look in the two sums; half a standard deviation a look is forgiven."""
    off, (above, below) = deviation(state, seen), state.drift
    return replace(state, drift=(max(0.0, above + off - 0.5), max(0.0, below - off - 0.5)))


def uncounted(state: State) -> State:
    """As though nothing had been seen at the present limit yet."""
    return replace(
        state, since=0.0, counted=0.0, looks=0, count=0.0, over=0.0, last=0.0, drift=(0.0, 0.0),
        before=(0, 0.0),
    )  # fmt: skip


def changed(state: State, seen: Observation) -> bool:
    """Whether so many transactions are not what this limit gave until now, or any likely shape would give."""
    off = deviation(state, seen)
    if state.looks > 1 or off < -5:
        return abs(off) > 5 or state.drift[1] > DRIFTED
    return (
        state.evidence.surprise(seen.busy * state.share, seen.returned, seen.seconds, 1 / state.scatter) > 4
    )


def counted(state: State, seen: Observation) -> State:
    """With this look as evidence."""
    scatter = state.scatter
    if state.looks > 1 and state.last:
        # Of two looks in a row, so that a change of the level is no scatter.
        step = seen.returned - state.last * seen.seconds
        ratio = step * step / 2 / max(1.0, state.count / state.over * seen.seconds)
        scatter = min(10.0, max(0.7, scatter + 0.1 * (min(ratio, 4 * scatter) - scatter)))
    kept = 0.5 ** (seen.seconds / MEMORY)
    return replace(
        state,
        scatter=scatter,
        last=seen.returned / seen.seconds,
        counted=state.counted + seen.seconds,
        looks=state.looks + 1,
        count=seen.returned + (state.count if state.looks != 1 else 0.0),
        over=seen.seconds + (state.over if state.looks != 1 else 0.0),
        evidence=state.evidence.plus(seen.busy * state.share, seen.returned, seen.seconds, kept),
    )
