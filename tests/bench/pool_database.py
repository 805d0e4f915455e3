"""Clients, a FIFO pool with a limit, and a database, simulated event by event, for `pool_simulator.py`.

The database is the usual queueing model and knows nothing of the controller: k cores shared equally by what
computes (processor sharing), delays that any number of statements may spend at once (disk, network, sleep),
rows that one transaction locks at a time and hands on in order, and work that grows with the number of
backends that execute or wait for a lock (cache lines, spinning, lock manager). Clients are closed loops
behind one event loop of their own.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import exp, inf
from statistics import median

from dbperf.pool.contract import TICK, Observation

CAP = 80
SLOT = 0.25
"""Seconds of one entry of what a run records."""

Policy = Callable[[Observation], int]


@dataclass(frozen=True, slots=True)
class Regime:
    """One phase of a workload. Times in seconds."""

    kind: str
    seconds: float
    clients: int
    think: float
    """Mean time between two transactions of a client."""
    io: float
    """Mean delay of a short transaction's statements, all together."""
    cpu: float = 0.0002
    """Mean work of them."""
    spread: float = 0.5
    """Sigma of the lognormal that both are drawn from."""
    cores: int = 4
    overhead: float = 0.0
    """By how much work grows at most while many backends are active: 0.6 is 60 %."""
    overhead_half: float = 20.0
    """Active backends beyond the cores at which half of that is reached."""
    hot: float = 0.0
    """Share of transactions that lock a hot row for the second half of their work."""
    rows: int = 1
    long: float = 0.0
    """Share of transactions that stay open for `open_for`, mostly idle."""
    open_for: float = 0.0
    client_cost: float = 0.0001
    """Work on the client's only loop before and in each transaction, each."""
    stall_at: float = inf
    stall_for: float = 0.0


def io_bound(r: random.Random) -> Regime:
    return Regime(
        "io", r.uniform(8, 20), r.randint(90, 200), r.uniform(0, 0.02), r.uniform(0.02, 0.1), cores=8
    )


def contention(r: random.Random) -> Regime:
    """Peaks at about 2 to 12, and has lost a quarter at four to eight times as many."""
    best = r.uniform(2, 12)
    cores = r.choice([c for c in (1, 2, 4) if c <= best])
    cpu = r.uniform(0.002, 0.01)
    return Regime(
        "contention", r.uniform(8, 20), r.randint(64, 200), r.uniform(0, 0.02), cpu * (best / cores - 1), cpu,
        spread=r.uniform(0.3, 1.0), cores=cores, overhead=r.uniform(0.6, 1.3), overhead_half=4 * best,
        hot=r.uniform(0.2, 0.8), rows=r.randint(2, 8),
    )  # fmt: skip


def long_transactions(r: random.Random) -> Regime:
    return Regime(
        "long", r.uniform(10, 20), r.randint(64, 200), r.uniform(0, 0.05), r.uniform(0.005, 0.02), 0.0005,
        long=r.uniform(0.05, 0.3), open_for=r.uniform(0.3, 2),
    )  # fmt: skip


def light(r: random.Random) -> Regime:
    return Regime(
        "light", r.uniform(8, 15), r.randint(3, 15), r.uniform(0.05, 0.2), r.uniform(0.005, 0.03), 0.0005
    )


def stall(r: random.Random) -> Regime:
    """A burst in which everything hangs for a while."""
    seconds, hang = r.uniform(14, 20), r.uniform(2, 6)
    return Regime(
        "stall", seconds, r.randint(64, 200), r.uniform(0, 0.02), r.uniform(0.01, 0.08), cores=8,
        stall_at=r.uniform(1, seconds - hang - 4), stall_for=hang,
    )  # fmt: skip


def client_bound(r: random.Random) -> Regime:
    cost = r.uniform(0.001, 0.003)
    return Regime(
        "client", r.uniform(8, 15), r.randint(64, 200), 0.0, r.uniform(0.005, 0.02), client_cost=cost
    )


def cpu_bound(r: random.Random) -> Regime:
    return Regime(
        "cpu", r.uniform(8, 20), r.randint(64, 200), r.uniform(0, 0.02), r.uniform(0.001, 0.01),
        r.uniform(0.003, 0.01),
        cores=r.choice((2, 4, 8)), overhead=r.uniform(0, 0.1), spread=r.uniform(0.3, 1.0),
    )  # fmt: skip


KINDS = (io_bound, contention, long_transactions, light, stall, client_bound, cpu_bound)


@dataclass(slots=True)
class Trace:
    """What a run did, an entry a slot, and when the limit rose within a stall."""

    returned: list[int] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    grown_in_stall: int = 0


THINK, ARRIVE, STEP, CPU, LOOK, PHASE, IO = range(7)
NOT, EXECUTING, IN_TRANSACTION, IDLE = range(4)


class Simulation:
    """One run of chained regimes under one policy."""

    def __init__(
        self, regimes: list[Regime], seed: int, policy: Policy, limit: int, looks: bool = True
    ) -> None:
        self.seed = seed
        self.regimes = regimes
        self.policy = policy
        self.limit = limit
        self.looks = looks
        self.now = 0.0
        self.events: list[tuple[float, int, int, int]] = []
        self.order = 0
        count = max(r.clients for r in regimes)
        self.randoms: list[random.Random] = []
        self.state = [NOT] * count
        self.since = [0.0] * count
        self.steps: list[list[tuple[str, float]]] = [[] for _ in range(count)]
        self.locks = [-1] * count
        self.parked: list[int] = []
        self.waiters: deque[int] = deque()
        self.in_use: set[int] = set()
        self.active = 0
        self.loop_free = self.loop_work = self.loop_done = 0.0
        self.owner: dict[int, int] = {}
        self.lock_queues: dict[int, deque[int]] = {}
        # Processor sharing: work is done when a clock that runs at min(1, cores / jobs) reaches its mark.
        self.work: list[tuple[float, int]] = []
        self.virtual = 0.0
        self.virtual_at = 0.0
        self.cpu_version = 0
        self.stall_from = self.stall_to = -1.0
        self.trace = Trace()
        self.total = 0
        self.zero()

    def zero(self) -> None:
        self.looked = self.counted = self.now
        self.area = self.queue_area = self.held = 0.0
        self.arrivals = self.returned = 0
        self.peak = len(self.in_use)

    def at(self, when: float, what: int, who: int) -> None:
        self.order += 1
        heappush(self.events, (when, self.order, what, who))

    @staticmethod
    def drawn(r: random.Random, mean: float, sigma: float) -> float:
        return mean * exp(r.gauss(0, sigma) - sigma * sigma / 2) if mean > 0 else 0.0

    # Clients and their loop

    def on_loop(self, who: int, what: int) -> None:
        self.loop_free = max(self.now, self.loop_free) + self.regime.client_cost
        self.loop_work += self.regime.client_cost
        self.at(self.loop_free, what, who)

    def think(self, who: int) -> None:
        think = self.regime.think
        self.at(self.now + (self.randoms[who].expovariate(1 / think) if think else 0.0), THINK, who)

    def plan(self, who: int) -> list[tuple[str, float]]:
        """The steps of one transaction, last first."""
        r, random = self.regime, self.randoms[who]
        io, cpu = self.drawn(random, r.io, r.spread), self.drawn(random, r.cpu, r.spread)
        steps = [("io", io / 2), ("cpu", cpu / 2), ("client", 0.0)]
        if random.random() < r.hot:
            steps.append(("lock", float(random.randrange(r.rows))))
        steps += [("io", io / 2), ("cpu", cpu / 2)]
        if r.long and random.random() < r.long:
            steps = [*steps[-2:], ("gap", self.drawn(random, r.open_for, 0.5)), *steps[:2]]
        return steps[::-1]

    # The pool

    def count(self) -> None:
        passed = self.now - self.counted
        self.area += passed * len(self.in_use)
        self.queue_area += passed * len(self.waiters)
        self.counted = self.now

    def arrive(self, who: int) -> None:
        self.count()
        self.arrivals += 1
        if len(self.in_use) < self.limit and not self.waiters:
            self.start(who)
            return
        self.waiters.append(who)
        if self.looks and len(self.waiters) == 1 and self.now - self.looked > 0.02:
            self.look()

    def start(self, who: int) -> None:
        self.in_use.add(who)
        self.peak = max(self.peak, len(self.in_use))
        self.since[who] = self.now
        self.steps[who] = self.plan(who)
        self.step(who)

    def finish(self, who: int) -> None:
        self.count()
        self.unlock(who)
        self.become(who, NOT)
        self.in_use.discard(who)
        self.returned += 1
        self.total += 1
        self.held += self.now - self.since[who]
        self.grant()
        self.think(who)

    def grant(self) -> None:
        while self.waiters and len(self.in_use) < self.limit:
            self.start(self.waiters.popleft())

    # The database

    def become(self, who: int, state: int) -> None:
        self.active += (state == EXECUTING) - (self.state[who] == EXECUTING)
        self.state[who] = state

    def step(self, who: int) -> None:
        steps = self.steps[who]
        if not steps:
            self.finish(who)
            return
        kind, amount = steps.pop()
        if kind == "client":
            self.become(who, IN_TRANSACTION)
            self.on_loop(who, STEP)
        elif kind == "gap":
            self.become(who, IN_TRANSACTION)
            self.at(self.now + amount, STEP, who)
        elif kind == "io":
            self.become(who, EXECUTING)
            self.at((self.stall_to if self.now < self.stall_to else self.now) + amount, IO, who)
        elif kind == "cpu":
            self.become(who, EXECUTING)
            self.compute(who, amount)
        else:
            self.become(who, EXECUTING)
            self.lock(who, int(amount))

    def compute(self, who: int, work: float) -> None:
        r = self.regime
        beyond = max(0, self.active - r.cores)
        self.advance()
        heappush(
            self.work, (self.virtual + work * (1 + r.overhead * beyond / (beyond + r.overhead_half)), who)
        )
        self.next_done()

    def advance(self) -> None:
        if self.work:
            passed = max(0.0, self.now - max(self.virtual_at, self.stall_to))
            self.virtual += passed * min(1.0, self.regime.cores / len(self.work))
        self.virtual_at = self.now

    def next_done(self) -> None:
        self.cpu_version += 1
        if self.work:
            start = max(self.now, self.stall_to)
            rate = min(1.0, self.regime.cores / len(self.work))
            self.at(start + max(0.0, self.work[0][0] - self.virtual) / rate, CPU, self.cpu_version)

    def computed(self) -> None:
        if self.now < self.stall_to:  # was due before anyone knew of the stall
            self.advance()
            self.next_done()
            return
        self.advance()
        done = []
        while self.work and self.work[0][0] <= self.virtual + 1e-9:
            done.append(heappop(self.work)[1])
        self.next_done()
        for who in done:
            self.step(who)

    def lock(self, who: int, row: int) -> None:
        if row not in self.owner:
            self.owner[row] = who
            self.locks[who] = row
            self.step(who)
        else:
            self.lock_queues.setdefault(row, deque()).append(who)

    def unlock(self, who: int) -> None:
        row, self.locks[who] = self.locks[who], -1
        if row < 0:
            return
        del self.owner[row]
        if queue := self.lock_queues.get(row):
            self.lock(queue.popleft(), row)

    # Looks and phases

    def look(self) -> None:
        self.count()
        seconds = self.now - self.looked
        if seconds <= 0:
            return
        late = max(0.0, self.loop_free - self.now)
        done = self.loop_work - late
        states = [self.state[who] for who in self.in_use]
        ages = [self.now - self.since[who] for who in self.in_use if self.state[who] == EXECUTING]
        seen = Observation(
            seconds, self.limit, CAP, self.area / seconds, self.peak, len(self.waiters),
            self.queue_area / seconds, self.arrivals, self.returned, self.held, len(ages),
            states.count(IN_TRANSACTION), states.count(IDLE),
            median(ages) if ages else 0.0, late, (done - self.loop_done) / seconds,
        )  # fmt: skip
        self.loop_done = done
        limit = self.policy(seen)
        if limit > self.limit and self.stall_from + TICK < self.now < self.stall_to:
            self.trace.grown_in_stall += 1
        self.limit = limit
        self.zero()
        self.grant()

    def begin(self, index: int) -> None:
        if self.work:
            self.advance()
        self.regime = regime = self.regimes[index]
        # Each client draws the same in a phase, whatever the limit: sizes differ by what they do alone.
        self.randoms = [
            random.Random((self.seed * 100 + index) * 1000 + who) for who in range(len(self.state))
        ]
        self.stall_from = self.now + regime.stall_at if regime.stall_for else -1.0
        self.stall_to = -1.0
        if regime.stall_for:
            self.at(self.stall_from, PHASE, -1)
        self.next_done()
        parked, self.parked = self.parked, []
        for who in parked:
            self.think(who)

    def run(self) -> Trace:
        at = 0.0
        for index, regime in enumerate(self.regimes):
            self.at(at, PHASE, index)
            at += regime.seconds
        self.parked = list(range(len(self.state)))
        slot, before, next_look = SLOT, 0, TICK
        while self.events:
            when, _, what, who = heappop(self.events)
            while when >= slot:
                self.trace.returned.append(self.total - before)
                self.trace.limits.append(self.limit)
                before, slot = self.total, slot + SLOT
            while self.looks and when >= next_look:
                self.now, next_look = next_look, next_look + TICK
                if self.now - self.looked >= TICK / 2:
                    self.look()
            if when >= at:
                break
            self.now = when
            self.handle(what, who)
        return self.trace

    def handle(self, what: int, who: int) -> None:
        if what == CPU:
            if who == self.cpu_version:
                self.computed()
        elif what == STEP:
            self.step(who)
        elif what == IO:
            if self.now < self.stall_to:
                self.at(self.stall_to + self.now - self.stall_from, IO, who)
            else:
                self.step(who)
        elif what == THINK:
            if who < self.regime.clients:
                self.on_loop(who, ARRIVE)
            else:
                self.parked.append(who)
        elif what == ARRIVE:
            self.arrive(who)
        elif who >= 0:
            self.begin(who)
        else:
            self.advance()
            self.stall_to = self.now + self.regime.stall_for
            self.next_done()
