"""The controller of the pool, with observations made by hand and a slim deterministic database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbperf.pool.contract import KINDS, TICK, Decision, Observation
from dbperf.pool.controller import STALL_LIMIT, decide
from dbperf.pool.signals import State

CAP = 80


@dataclass
class Database:
    """`clients` that always want a connection; `throughput` says what so many at once are given."""

    throughput: Callable[[float], float]
    clients: int = 100
    limit: int = 16
    cap: int = CAP
    executing: float = 1.0
    lag: float = 0.0
    state: State = field(default_factory=State)
    kinds: list[str] = field(default_factory=list)

    def look(self, **changes: object) -> Decision:
        busy = min(self.limit, self.clients)
        rate = self.throughput(busy)
        returned = round(rate * TICK)
        works = round(busy * self.executing)
        seen = Observation(
            TICK, self.limit, self.cap, busy, busy, self.clients - busy, self.clients - busy,
            returned, returned, busy * TICK, works, busy - works, 0,
            busy / rate / 2 if rate else 1.0, self.lag,
        )  # fmt: skip
        self.state, decision = decide(self.state, replace(seen, **changes))  # type: ignore[arg-type]
        self.limit = decision.limit
        self.kinds.append(decision.kind)
        return decision

    def run(self, seconds: float) -> list[int]:
        return [self.look().limit for _ in range(round(seconds / TICK))]


def io(busy: float) -> float:
    """No contention: 20 a second and connection."""
    return 20 * busy


def contended(busy: float) -> float:
    """Grows up to 8, and at four times as many has lost a quarter: a sharp bend that no shape has."""
    return 400 * min(busy, 8) / 8 * (1 - 0.33 * max(0, busy - 8) / (max(0, busy - 8) + 8))


def coherent(busy: float) -> float:
    """The Universal Scalability Law, best at 8."""
    return 160 * busy / (1 + 0.1 * (busy - 1) + 0.014 * busy * (busy - 1))


def saturated(busy: float) -> float:
    return 50 * min(busy, 8)


def test_a_queue_is_given_what_pays() -> None:
    database = Database(io)
    limits = database.run(3)
    assert limits[-1] == CAP
    assert {"demand", "pays"} <= set(database.kinds)


def test_growth_stops_at_demand() -> None:
    database = Database(io, clients=40)
    assert max(database.run(3)) == 40


@pytest.mark.parametrize("start", [4, 16, CAP])
@pytest.mark.parametrize(("throughput", "enough"), [(contended, 0.8), (coherent, 0.9), (saturated, 0.9)])
def test_what_does_not_pay_is_taken_back(
    throughput: Callable[[float], float], enough: float, start: int
) -> None:
    database = Database(throughput, limit=start)
    given = [throughput(limit) for limit in database.run(10)][20:]
    assert sum(given) / len(given) >= enough * throughput(8)


def test_another_workload_is_searched_anew() -> None:
    database = Database(contended)
    database.run(8)
    database.throughput = io
    assert database.run(4)[-1] >= 0.9 * CAP


def stalled(database: Database, seconds: float, since: float = 0.0) -> list[int]:
    """Every one in use executes, and nothing comes back."""
    in_use = database.limit
    found = []
    for tick in range(1, round(seconds / TICK) + 1):
        waiting = max(0, database.clients - in_use)
        decision = database.look(
            returned=0, held=0.0, arrivals=0, busy=float(in_use), peak=in_use, waiting=waiting,
            queued=float(waiting), executing=in_use, idle_in_transaction=0, oldest=since + tick * TICK,
        )  # fmt: skip
        found.append(decision.limit)
    return found


def test_nothing_grows_in_a_stall_which_halves_after_a_second_and_is_forgotten_after_it() -> None:
    database = Database(io)
    database.run(3)
    limits = stalled(database, 4)
    assert limits[:3] == [CAP] * 3
    assert limits[3:7] == [40, 20, 10, STALL_LIMIT]
    assert set(limits[7:]) == {STALL_LIMIT}
    assert database.look().limit == CAP
    assert database.kinds[-1] == "recovered"


@pytest.mark.parametrize("seconds", [0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
def test_a_stall_just_after_growth_and_with_hundreds_that_wait(seconds: float) -> None:
    database = Database(io, clients=500)
    database.run(seconds)
    before = database.limit
    limits = stalled(database, 3)
    assert max(limits) <= before
    assert limits[-1] == STALL_LIMIT


def test_a_look_in_which_a_stall_begins_proves_nothing() -> None:
    database = Database(io)
    database.run(3)
    evidence = database.state.evidence
    assert database.look(returned=60, held=3.0, oldest=0.24).limit == CAP
    assert database.state.evidence == evidence


def test_a_slow_program_gets_no_more() -> None:
    database = Database(io, lag=0.1)
    assert max(database.run(5)) == 16
    assert set(database.kinds) == {"client_busy"}


def test_one_late_look_does_not_stop_growth() -> None:
    database = Database(io)
    database.look(lag=0.03)
    assert database.run(3)[-1] == CAP


def test_idle_transactions_add_capacity_without_proof() -> None:
    """One comes back every other second, so nothing could be proven."""
    database = Database(lambda busy: 0.03 * busy, clients=200, executing=0.05)
    assert database.run(2)[-1] == CAP
    assert "idle_transactions" in database.kinds


def quiet(database: Database, peak: int) -> Decision:
    return database.look(
        busy=peak / 2, peak=peak, waiting=0, queued=0.0, executing=peak // 2, idle_in_transaction=0,
        returned=20, held=0.4,
    )  # fmt: skip


def test_quiet_shrinks_by_a_fifth_at_most_to_the_peak_and_room() -> None:
    database = Database(io)
    database.run(3)
    limits = [quiet(database, 9).limit for _ in range(12)]
    assert limits[:3] == [64, 51, 40]
    assert limits[-1] == 16  # 9 + 2 * 3 + 1
    assert "quiet" in database.kinds


def test_a_queue_after_quiet_is_served_at_once() -> None:
    database = Database(io)
    database.run(3)
    for _ in range(12):
        quiet(database, 4)
    assert database.limit < 16
    early = database.look(seconds=0.02, waiting=60)
    assert early.kind == "demand"
    assert early.limit >= 16


def test_the_limit_is_within_a_cap_that_fell_at_once() -> None:
    database = Database(io)
    database.run(3)
    database.cap = 10
    assert database.look().limit == 10
    assert "cap" in database.kinds
    assert max(database.run(3)) <= 10


def test_decide_is_pure() -> None:
    database = Database(io)
    database.run(1)
    seen = Observation(TICK, 16, CAP, 16.0, 16, 50, 50.0, 80, 80, 4.0, 16)
    assert decide(database.state, seen) == decide(database.state, seen)


counts = st.integers(0, 10_000)
times = st.floats(0, 1e4, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.builds(
            Observation, seconds=st.one_of(times, st.floats(0.2, 0.3)),
            limit=counts, cap=counts, busy=times, peak=counts,
            waiting=counts, queued=times, arrivals=counts, returned=counts, held=times, executing=counts,
            idle_in_transaction=counts, idle=counts, oldest=times, lag=st.one_of(st.just(0.0), times),
        ),
        max_size=25,
    ),
    st.booleans(),
)  # fmt: skip
def test_any_sequence_stays_between_1_and_the_cap(looks: list[Observation], follow: bool) -> None:
    state, limit = State(), 16
    for seen in looks:
        if follow:
            seen = replace(seen, limit=limit)
        state, decision = decide(state, seen)
        limit = decision.limit
        assert 1 <= limit <= max(1, seen.cap)
        assert decision.kind in (*KINDS, "")


def test_what_becomes_slow_is_no_stall_for_good() -> None:
    """From 20 a second and connection to one: two come back a look, after far longer than before."""
    database = Database(io, clients=500)
    database.run(0.5)
    database.throughput = lambda busy: 0.5 * busy
    assert database.run(8)[-1] >= 0.9 * CAP
