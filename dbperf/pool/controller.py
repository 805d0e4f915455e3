"""How many connections may be in use at once: a pure function from what was observed to a decision.

The pool asks it once a tick, about four times a second while anything happens, and once more when a queue
appears. It knows no clock, no thread and no database, so tests and simulators drive it as the pool does.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, sqrt

from dbperf.pool.contract import TICK, Decision, Observation
from dbperf.pool.shapes import Choice, Evidence, choose, ladder
from dbperf.pool.signals import (
    DRIFTED,
    State,
    changed,
    counted,
    deviation,
    drifted,
    hangs,
    joined,
    mixed,
    ramped,
    share,
    smoothed,
    uncounted,
)

RECENT = 3.0
"""Seconds of the present that a trial compares with."""
OUTDATED = 0.05
"""Share of what was seen before that still counts in a trial."""
ENOUGH = 30.0
"""Transactions that tell two limits apart, were they to scatter as by chance alone."""
QUIET_MEMORY = 2.0
"""Seconds without a queue after which what was seen counts half: the next burst may be of anything."""
STALL_LIMIT = 8
"""What a stall halves down to."""
LAG = 0.02
"""Seconds that looks come late when the client is what is slow."""
NO_TIME = 0.95
"""Of a processor used by the program: with more it is what is slow, and fewer may give it less to do."""


def decide(state: State, seen: Observation) -> tuple[State, Decision]:
    """The next state and the limit from now on, for one look. Never raises; 1 <= limit <= max(1, cap).

    Grows with proof alone: throughput against concurrency is fitted with the shapes of `shapes.py`, and the
    limit is what is best on average over those that are likely. Where little is known, one is tried
    for a moment.
    """
    cap = max(1, seen.cap)
    limit = min(max(1, seen.limit), cap)
    if state.early is not None:
        seen = joined(state.early, seen)
    if seen.seconds < 0.6 * TICK and not (state.stalled and seen.returned):
        state, decision = _early(replace(state, early=seen), seen, limit, cap)
    else:
        state, decision = _full(replace(state, early=None), seen, limit, cap)
    if decision.limit != seen.limit:
        moved = (limit, state.count / state.over if state.over else 0.0)
        state = replace(uncounted(state), before=moved, early=None)
    if limit < seen.limit and decision.limit == limit:
        decision = Decision(limit, f"the cap is {cap}", "cap")
    return state, decision


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
    if hangs(state, seen):
        # Less is due with each such look: what has just become slow must not be taken for a stall for good.
        return replace(state, since=state.since + seen.seconds, rate=0.6 * state.rate), Decision(limit)
    stuck = seen.oldest > max(1.0, 5 * state.hold)
    level, state = ramped(state, seen, limit), mixed(state, seen)
    state = smoothed(state, seen)
    # Without a queue, clients that are all in the database may still be more than it can serve well.
    full = 0.7 if seen.cpu < NO_TIME else 0.0
    crowded = seen.busy >= max(12.0, full * limit) and state.share > 0.7
    if not seen.waiting and seen.queued < 0.5 and not crowded:
        return _quiet(state, seen, limit)
    late = state.lag >= LAG
    state, decision = _judged(
        state, seen, limit, limit if late or stuck else cap, level=level, settled=settled
    )
    if decision.limit < limit or not seen.waiting or not (late or stuck):
        return state, decision
    if stuck:
        return state, Decision(limit, f"what executes has been for {seen.oldest:.1f} s", "stall")
    why = f"a queue of {seen.waiting}, but the program is {state.lag * 1e3:.0f} ms late"
    return state, Decision(limit, why, "client_busy")


def _judged(
    state: State, seen: Observation, limit: int, cap: int, *, level: Observation, settled: bool
) -> tuple[State, Decision]:
    """Nothing is in the way of judging what is seen; in `level` without those who cannot be back yet."""
    if settled:
        state = drifted(state, level)
    other, strange = state.mixes > 1, settled and changed(state, level)
    if strange and state.trial and not state.looks:
        # A trial's answer that no shape gives: another workload, or a shape like none.
        strange, state = False, replace(state, doubt=max(state.doubt, 0.5))
    if other or strange:
        state = replace(uncounted(state), evidence=Evidence(), share=share(seen) if other else state.share)
        return state, _unproven(seen, limit, cap) or Decision(
            limit, "another workload than before", "changed"
        )
    if state.drift[0] > DRIFTED:  # more than before, slowly: no reason to try what gives less
        state = replace(uncounted(state), since=state.since, doubt=max(state.doubt, 0.3))
    if not settled:
        return state, _unproven(seen, limit, cap) or Decision(limit)
    if state.counted and abs(deviation(state, level)) > 2.5:
        return state, Decision(limit)  # the next look says whether this was chance
    return _search(counted(state, level), seen, limit, cap)


def _unproven(seen: Observation, limit: int, cap: int) -> Decision | None:
    """As many more as do not execute, where they are most and it takes long to see what they give."""
    idle = seen.idle_in_transaction + seen.idle
    more = min(cap, limit + min(idle, seen.waiting))
    if idle <= seen.executing or seen.busy < 0.8 * limit or more <= limit:
        return None
    return Decision(more, f"{idle} of those in use do not execute", "idle_transactions")


def _silent(state: State, seen: Observation) -> bool:
    """Nothing came back though much was due, and what executes has been for far longer than usual.

    Where nobody waits it may be one slow statement.
    """
    if seen.returned or not seen.busy or share(seen) < 0.5 or not (seen.waiting or state.stalled):
        return False
    return state.rate * seen.seconds >= 4 or seen.oldest > max(1.0, 5 * state.hold)


def _stall(state: State, seen: Observation, limit: int, cap: int, silent: bool) -> tuple[State, Decision]:
    if not silent:
        back = min(cap, max(limit, state.unstalled))
        state = replace(uncounted(state), stalled=0.0, unstalled=0)
        return state, Decision(back, "connections come back again", "recovered" if back > limit else "")
    lasted = state.stalled + seen.seconds
    state = replace(state, stalled=lasted, unstalled=state.unstalled or limit)
    fewer = max(min(STALL_LIMIT, limit), limit // 2) if lasted >= 1 else limit
    return state, Decision(fewer, f"nothing came back for {lasted:.1f} s", "stall")


def _quiet(state: State, seen: Observation, limit: int) -> tuple[State, Decision]:
    """Shrinks by at most 20 % a look, to the peak and room for chance (twice the root of it)."""
    enough = ceil(seen.peak + 2 * sqrt(seen.peak)) + 1
    state = replace(uncounted(state), proven=max(state.proven, seen.peak), since=state.since)
    state = replace(state, evidence=state.evidence.faded(0.5 ** (seen.seconds / QUIET_MEMORY)))
    if enough >= limit:
        return state, Decision(limit)
    fewer = max(1, enough, int(limit * 0.8))
    return state, Decision(fewer, f"no queue, {seen.peak} in use at most", "quiet" if fewer < limit else "")


def _search(state: State, seen: Observation, limit: int, cap: int) -> tuple[State, Decision]:
    top = min(cap, max(limit, ceil(seen.busy) + seen.waiting))
    weight = 1 / (state.scatter * max(1.0, (1 - state.share) * state.hold / TICK))
    likely = state.evidence.likely(weight, state.doubt)
    # As long as it takes to count enough, but a clear loss ends it.
    trial = min(6 * TICK, max(TICK, ENOUGH / max(1.0, state.rate * weight)))
    chosen = choose(likely, weight, ladder(top, limit), limit, state.share, state.rate * trial, trial / TICK)
    if state.trial > state.counted + TICK / 2 and chosen.worth_now > chosen.worth - 0.3:
        return state, Decision(limit)
    if chosen.limit < limit and state.share < 0.5:
        # Most do not execute: it is not they who crowd the database, and they would be given back at once.
        return state, Decision(limit)
    if chosen.trial and state.doubt > 0.1:
        # What other limits gave is to be seen anew, or it would outweigh what the trial says.
        seconds = min(state.counted, RECENT)
        count = state.count / state.over * seconds
        here = Evidence().plus(seen.busy * state.share, count, seconds, 1.0)
        state = replace(state, evidence=state.evidence.faded(OUTDATED).with_(here))
    if chosen.limit != limit:
        state = replace(state, doubt=0.0)
    state = replace(state, proven=max(16, chosen.limit), trial=trial if chosen.trial else 0.0)
    return replace(state, before=(0, 0.0)), _said(state, seen, limit, chosen)


def _said(state: State, seen: Observation, limit: int, chosen: Choice) -> Decision:
    before, rate = state.before
    now = state.count / state.over
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
