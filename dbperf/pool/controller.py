"""How many connections may be in use at once: a pure function from what was observed to a decision.

The pool asks it once a tick, about four times a second while anything happens, and once more when a queue
appears. It knows no clock, no thread and no database, so tests and simulators drive it as the pool does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, exp, sqrt

from dbperf.pool.shapes import Choice, Evidence, choose, ladder

TICK = 0.25
"""Seconds between two looks, about."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What happened in one pool since the last look. Times in seconds, numbers of connections as counted.

    `executing`, `idle_in_transaction` and `idle` split what is in use at this moment by what it does: the
    database works for it, the program holds a transaction open, the program holds nothing open. What the
    driver does not tell is in none of them.
    """

    seconds: float
    """How long this tick was."""
    limit: int
    """How many might be in use at once during it."""
    cap: int
    """The most that the limit may ever be."""
    busy: float
    """In use on average over the tick."""
    peak: int
    """In use at most at once."""
    waiting: int
    """Checkouts that wait at this moment."""
    queued: float
    """Checkouts that waited, on average over the tick."""
    arrivals: int
    """Checkouts asked for."""
    returned: int
    """Connections returned."""
    held: float
    """How long those had been held, summed."""
    executing: int = 0
    idle_in_transaction: int = 0
    idle: int = 0
    oldest: float = 0.0
    """How long what executes now has been held: the median of those."""
    lag: float = 0.0
    """How much later than asked for the look came: the event loop, or the interpreter, was busy."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The limit from now on, and why: a stable word of KINDS and a sentence. Both "" where nothing is to be said."""

    limit: int
    reason: str = ""
    kind: str = ""


KINDS = (
    "demand",  # a queue: more, to see whether that pays
    "pays",  # more was tried and gives more: kept
    "no_gain",  # as many as gives most; more were, or are, no gain
    "probe",  # tried for a moment, to learn what fewer or more would give
    "idle_transactions",  # those in use do not work in the database: more, without proof
    "client_busy",  # a queue, but the program itself is what is slow: no more
    "stall",  # nothing comes back: no more, and fewer when it lasts
    "recovered",  # the stall is over: as before
    "quiet",  # no queue: fewer
    "cap",  # the cap fell below the limit
    "changed",  # another workload than before: all is open again
)
"""All that Decision.kind may be, besides ""."""

MEMORY = 12.0
"""Seconds after which what was seen counts half."""
DOUBT = 40.0
"""Seconds at one limit after which the odds that the workload has become another unnoticed are 1 - 1/e: at one limit
a database that is busy and one that is far away may give the very same throughput."""
RECENT = 3.0
"""Seconds of the present that a trial compares with, and the share of what was seen before that still counts then."""
OUTDATED = 0.05
ENOUGH = 30.0
"""Transactions that tell two limits apart, were they to scatter as by chance alone."""
QUIET_MEMORY = 2.0
"""The same while there is no queue: the next burst may be of anything."""
STALL_LIMIT = 8
"""What a stall halves down to."""
LAG = 0.02
"""Seconds that looks come late when the client is what is slow."""


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
    count: float = 0.0
    """Transactions seen at the present limit, once it had taken effect, and for how long:"""
    counted: float = 0.0
    drift: tuple[float, float] = (0.0, 0.0)
    """Sums of how far counts were above and below what was expected there, in standard deviations (CUSUM, Page)."""
    hold: float = 0.0
    """Mean hold of late."""
    rate: float = 0.0
    """Transactions a second of late."""
    lag: float = 0.0
    crowd: float = 0.0
    """Those that use or wait for a connection, smoothed."""
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


def decide(state: State, seen: Observation) -> tuple[State, Decision]:
    """The next state and the limit from now on, for one look. Never raises; 1 <= limit <= max(1, cap).

    Grows with proof alone: throughput against concurrency is fitted with the shapes of `shapes.py`, and the limit is
    what is best on average over those that are likely. Where little is known, one is tried for a moment.
    """
    cap = max(1, seen.cap)
    limit = min(max(1, seen.limit), cap)
    if state.early is not None:
        seen = _joined(state.early, seen)
    if seen.seconds < 0.6 * TICK:
        state, decision = _early(replace(state, early=seen), seen, limit, cap)
    else:
        state, decision = _full(replace(state, early=None), seen, limit, cap)
    if decision.limit != seen.limit:
        moved = (limit, state.rate if state.counted else 0.0)
        state = replace(
            state, since=0.0, count=0.0, counted=0.0, last=0.0, drift=(0.0, 0.0), before=moved, early=None
        )
    if limit < seen.limit and decision.limit == limit:
        decision = Decision(limit, f"the cap is {cap}", "cap")
    return state, decision


def _joined(early: Observation, seen: Observation) -> Observation:
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


def _early(state: State, seen: Observation, limit: int, cap: int) -> tuple[State, Decision]:
    """Too short a look to judge: a queue gets what served demand before, at once."""
    ready = min(cap, state.proven, ceil(seen.busy) + seen.waiting)
    if seen.waiting and not state.stalled and state.lag < LAG and ready > limit and not state.counted:
        return state, Decision(ready, f"a queue of {seen.waiting}: back to {ready}", "demand")
    return state, Decision(limit)


def _full(state: State, seen: Observation, limit: int, cap: int) -> tuple[State, Decision]:
    silent = _silent(state, seen)
    if silent or state.stalled:
        return _stall(state, seen, limit, cap, silent)
    settled = state.since + seen.seconds / 2 >= min(state.hold, 6 * TICK) and seen.busy <= 1.3 * limit
    if _hangs(state, seen):
        return replace(state, since=state.since + seen.seconds), Decision(limit)
    other, level = _other_mix(state, seen), _ramped(state, seen, limit)
    state = _smoothed(state, seen)
    # Without a queue, clients that are all in the database may still be more than it can serve well.
    crowded = seen.busy >= max(12.0, 0.7 * limit) and state.share > 0.7
    if not seen.waiting and seen.queued < 0.5 and not crowded:
        return _quiet(state, seen, limit)
    if state.lag >= LAG:
        return state, Decision(
            limit,
            f"a queue of {seen.waiting}, but the program is {state.lag * 1e3:.0f} ms late",
            "client_busy",
        )
    if settled and state.counted:
        off = _deviation(state, level)
        above, below = state.drift
        state = replace(state, drift=(max(0.0, above + off - 0.5), max(0.0, below - off - 0.5)))
    if other or (settled and _changed(state, level)):
        state = replace(
            state,
            evidence=Evidence(),
            count=0.0,
            counted=0.0,
            last=0.0,
            drift=(0.0, 0.0),
            since=0.0,
            before=(0, 0.0),
        )
        if other:
            state = replace(state, share=_share(seen))
        return state, _unproven(seen, limit, cap) or Decision(
            limit, "another workload than before", "changed"
        )
    if not settled:
        return state, _unproven(seen, limit, cap) or Decision(limit)
    if state.counted and abs(_deviation(state, level)) > 2.5:
        return state, Decision(limit)  # the next look says whether this was chance
    return _search(_counted(state, level), seen, limit, cap)


def _ramped(state: State, seen: Observation, limit: int) -> Observation:
    """Without the first mean hold after growth, in which those that were added cannot have come back yet."""
    before, rate = state.before
    if state.since or not 0 < before < limit or not rate or state.hold > seen.seconds / 2:
        return seen
    returned = max(0, round(seen.returned - rate * state.hold))
    return replace(seen, seconds=seen.seconds - state.hold, returned=returned)


def _unproven(seen: Observation, limit: int, cap: int) -> Decision | None:
    """As many more as do not execute, where they are most and it takes long to see what they give."""
    idle = seen.idle_in_transaction + seen.idle
    more = min(cap, limit + min(idle, seen.waiting))
    if idle <= seen.executing or seen.busy < 0.8 * limit or more <= limit:
        return None
    return Decision(more, f"{idle} of those in use do not execute", "idle_transactions")


def _silent(state: State, seen: Observation) -> bool:
    """Nothing came back though much was due, and what executes has been for far longer than usual."""
    if seen.returned or not seen.busy or _share(seen) < 0.5:
        return False
    return state.rate * seen.seconds >= 4 or seen.oldest > max(1.0, 5 * state.hold)


def _stall(state: State, seen: Observation, limit: int, cap: int, silent: bool) -> tuple[State, Decision]:
    if not silent:
        back = min(cap, max(limit, state.unstalled))
        state = replace(state, stalled=0.0, unstalled=0, since=0.0, counted=0.0, count=0.0, drift=(0.0, 0.0))
        return state, Decision(back, "connections come back again", "recovered" if back > limit else "")
    lasted = state.stalled + seen.seconds
    state = replace(state, stalled=lasted, unstalled=state.unstalled or limit)
    fewer = max(min(STALL_LIMIT, limit), limit // 2) if lasted >= 1 else limit
    return state, Decision(fewer, f"nothing came back for {lasted:.1f} s", "stall")


def _smoothed(state: State, seen: Observation) -> State:
    share = _share(seen)
    rate = seen.returned / seen.seconds
    hold = seen.held / seen.returned if seen.returned else max(state.hold, seen.oldest)
    fresh = 0.4 if state.rate else 1.0
    crowd = seen.busy + seen.waiting
    doubt = 1 - (1 - state.doubt) * exp(-seen.seconds / DOUBT)
    if abs(crowd - state.crowd) > max(8.0, 0.3 * state.crowd):
        doubt = max(0.5, doubt)
    return replace(
        state,
        share=state.share + fresh * (share - state.share),
        rate=state.rate + fresh * (rate - state.rate),
        hold=state.hold + fresh * (hold - state.hold),
        lag=state.lag + 0.5 * (seen.lag - state.lag),
        crowd=state.crowd + 0.5 * fresh * (crowd - state.crowd) if state.crowd else crowd,
        doubt=doubt,
        since=state.since + seen.seconds,
    )


def _quiet(state: State, seen: Observation, limit: int) -> tuple[State, Decision]:
    """Shrinks by at most 20 % a look, to the peak and room for what arrives by chance (twice the root of it)."""
    enough = ceil(seen.peak + 2 * sqrt(seen.peak)) + 1
    state = replace(
        state, proven=max(state.proven, seen.peak), count=0.0, counted=0.0, last=0.0, before=(0, 0.0)
    )
    state = replace(state, evidence=state.evidence.faded(0.5 ** (seen.seconds / QUIET_MEMORY)))
    if enough >= limit:
        return state, Decision(limit)
    fewer = max(1, enough, int(limit * 0.8))
    return state, Decision(fewer, f"no queue, {seen.peak} in use at most", "quiet" if fewer < limit else "")


def _hangs(state: State, seen: Observation) -> bool:
    """Whether a stall may have begun within this look, which then tells nothing."""
    due = state.rate * seen.seconds
    if seen.returned >= 4 and seen.oldest < 2 * seen.held / seen.returned:
        return False
    return due >= 4 and seen.returned < 0.6 * due and seen.oldest > max(4 * state.hold, 0.4 * seen.seconds)


def _share(seen: Observation) -> float:
    """Of the connections in use, those that execute: all, where the driver does not tell."""
    now = seen.executing + seen.idle_in_transaction + seen.idle
    return seen.executing / now if now else 1.0


def _other_mix(state: State, seen: Observation) -> bool:
    """Whether so many that execute are not chance, were their share the one of late."""
    now = seen.executing + seen.idle_in_transaction + seen.idle
    share = min(0.95, max(0.05, state.share))
    return now >= 4 and abs(seen.executing - now * state.share) > 5 * sqrt(now * share * (1 - share) + 1)


def _changed(state: State, seen: Observation) -> bool:
    """Whether so many transactions are not what this limit gave until now, or what any likely shape has for it."""
    if state.counted:
        return abs(_deviation(state, seen)) > 5 or max(state.drift) > 5
    return (
        state.evidence.surprise(seen.busy * state.share, seen.returned, seen.seconds, 1 / state.scatter) > 4
    )


def _deviation(state: State, seen: Observation) -> float:
    """Of the count, in standard deviations."""
    expected = max(1.0, state.count / state.counted * seen.seconds)
    variance = state.scatter * expected * (1 + seen.seconds / state.counted) + (0.05 * expected) ** 2
    return (seen.returned - expected) / sqrt(variance)


def _counted(state: State, seen: Observation) -> State:
    """With this look as evidence."""
    scatter = state.scatter
    if state.counted and state.last:
        # Of two looks in a row, so that a change of the level is no scatter.
        step = seen.returned - state.last * seen.seconds
        ratio = step * step / 2 / max(1.0, state.count / state.counted * seen.seconds)
        scatter = min(10.0, max(0.7, scatter + 0.1 * (min(ratio, 4 * scatter) - scatter)))
    kept = 0.5 ** (seen.seconds / MEMORY)
    return replace(
        state,
        scatter=scatter,
        last=seen.returned / seen.seconds,
        count=state.count + seen.returned,
        counted=state.counted + seen.seconds,
        evidence=state.evidence.plus(seen.busy * state.share, seen.returned, seen.seconds, kept),
    )


def _search(state: State, seen: Observation, limit: int, cap: int) -> tuple[State, Decision]:
    top = min(cap, max(limit, ceil(seen.busy) + seen.waiting))
    weight = 1 / (state.scatter * max(1.0, (1 - state.share) * state.hold / TICK))
    likely = state.evidence.likely(weight, state.doubt)
    # As long as it takes to count enough, but a clear loss ends it.
    trial = min(6 * TICK, max(TICK, ENOUGH / max(1.0, state.rate * weight)))
    chosen = choose(likely, weight, ladder(top, limit), limit, state.share, state.rate * trial, trial / TICK)
    if state.trial > state.counted + TICK / 2 and chosen.worth_now > chosen.worth - 0.3:
        return state, Decision(limit)
    if chosen.trial and state.doubt > 0.1:
        # What other limits gave is to be seen anew, or it would outweigh what the trial says.
        seconds = min(state.counted, RECENT)
        here = Evidence().plus(seen.busy * state.share, state.rate * seconds, seconds, 1.0)
        state = replace(state, evidence=state.evidence.faded(OUTDATED).with_(here))
    if chosen.limit != limit:
        state = replace(state, doubt=0.0)
    state = replace(state, proven=max(16, chosen.limit), trial=trial if chosen.trial else 0.0)
    return replace(state, before=(0, 0.0)), _said(state, seen, limit, chosen)


def _said(state: State, seen: Observation, limit: int, chosen: Choice) -> Decision:
    before, rate = state.before
    now = state.count / state.counted
    if chosen.trial:
        return Decision(chosen.limit, f"what would {chosen.limit} give?", "probe")
    if chosen.limit > limit:
        if state.share < 0.5:
            return Decision(
                chosen.limit, f"{1 - state.share:.0%} of those in use do not execute", "idle_transactions"
            )
        return Decision(chosen.limit, f"a queue of {seen.waiting}: up to {chosen.limit}", "demand")
    gain = f"{now / rate - 1:+.0%} for {limit} instead of {before}" if before and rate else ""
    if chosen.limit < limit:
        return Decision(chosen.limit, f"{gain or 'fewer give as much'}: down to {chosen.limit}", "no_gain")
    return Decision(
        limit, gain and f"{gain}: kept", "pays" if gain and before < limit else "no_gain" if gain else ""
    )
