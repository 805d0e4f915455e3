"""The pool's controller against fixed sizes: `uv run python tests/bench/pool_simulator.py [--whole]`

Random chains of regimes (`pool_database.py`), each run once with every fixed size of SIZES and once with
every policy, from the same seed. What a policy got in a phase is divided by what the best fixed size got in
the very same phase. *second* is that for the second half of a phase, *whole* for all of it, each as median
and 10th percentile of all phases of a kind. *settled* is for how long the limits chosen were bad: seconds
until the average over 1 s of what those limits give when fixed is 0.9 of the best, and stays so for 2 s.

Seeds 401 to 424, by which nothing was chosen: second half (median / 10th percentile), whole phase (median),
settled (median / 90th percentile).
client 1.00 / 1.00, 1.00, 0.0 / 0.0 s. contention 0.97 / 0.94, 0.97, 2.3 / 5.5 s.
cpu 1.00 / 0.98, 0.99, 0.8 / 2.0 s. io 1.00 / 1.00, 0.97, 0.6 / 3.0 s.
light 0.97 / 0.91, 0.97, 0.0 / 0.0 s. long 1.00 / 0.97, 0.99, 0.4 / 1.0 s.
stall 0.99 / 0.97, 0.95, 1.3 / 3.3 s. Nothing grew in a stall (from one look after it began).
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pool
from statistics import median

from pool_database import KINDS, SLOT, Policy, Regime, Simulation, Trace

from dbperf.pool.contract import Observation
from dbperf.pool.controller import decide
from dbperf.pool.signals import State

SIZES = (2, 4, 8, 16, 24, 32, 48, 64, 80)
START = 16


def controlled(log: list[str] | None = None) -> Policy:
    state = State()
    clock = 0.0

    def policy(seen: Observation) -> int:
        nonlocal state, clock
        clock += seen.seconds
        state, decision = decide(state, seen)
        if log is not None:
            log.append(
                f"{clock:7.2f} {seen.limit:3} -> {decision.limit:3} {decision.kind:10} {decision.reason} | "
                f"busy {seen.busy:.1f} "
                f"exec {seen.executing} tx {seen.idle_in_transaction} "
                f"wait {seen.waiting} ret {seen.returned} "
                f"hold {seen.held / max(1, seen.returned):.3f} old {seen.oldest:.3f} lag {seen.lag:.3f}"
            )
        return decision.limit

    return policy


def utilization(seen: Observation) -> int:
    """x 1.2 above 80 % in use with a queue, x 0.8 below 30 %."""
    if seen.busy > 0.8 * seen.limit and seen.waiting:
        return min(seen.cap, max(seen.limit + 1, int(seen.limit * 1.2)))
    return max(2, int(seen.limit * 0.8)) if seen.busy < 0.3 * seen.limit else seen.limit


def little(seen: Observation) -> int:
    """As many as are in use or waited for."""
    return max(2, min(seen.cap, round(seen.busy + seen.queued)))


def aimd() -> Policy:
    """One more while there is a queue, x 0.75 when connections are held for twice as long as ever."""
    least = 0.0

    def policy(seen: Observation) -> int:
        nonlocal least
        if not seen.returned:
            return seen.limit
        hold = seen.held / seen.returned
        least = hold if not least else min(least * 1.01, hold)
        if hold > 2 * least:
            return max(2, int(seen.limit * 0.75))
        return min(seen.cap, seen.limit + 1) if seen.waiting else seen.limit

    return policy


POLICIES: dict[str, Callable[[], Policy]] = {
    "dbperf": controlled,
    "utilization": lambda: utilization,
    "little": lambda: little,
    "aimd": aimd,
}


def regimes(
    seed: int, count: int, kinds: tuple[Callable[[random.Random], Regime], ...] = KINDS
) -> list[Regime]:
    r = random.Random(seed)
    chosen = r.sample(kinds, min(count, len(kinds)))
    return [_whole_slots(kind(r)) for kind in chosen]


def _whole_slots(regime: Regime) -> Regime:
    return replace(regime, seconds=round(regime.seconds / SLOT) * SLOT)


def fixed(chain: list[Regime], seed: int, size: int) -> Trace:
    return Simulation(chain, seed, lambda seen: size, size, looks=False).run()


def phases(chain: list[Regime]) -> list[tuple[int, int]]:
    found, at = [], 0.0
    for regime in chain:
        found.append((round(at / SLOT), round((at + regime.seconds) / SLOT)))
        at += regime.seconds
    return found


def settled(limits: list[int], sizes: dict[int, float]) -> float:
    """Seconds until the limits are good and stay so for 2 s; between two of SIZES it is interpolated."""
    best = max(sizes.values())
    good = [_between(limit, sizes) / best for limit in limits]
    second = round(1 / SLOT)
    averages = [sum(good[i : i + second]) / second for i in range(max(1, len(good) - second + 1))]
    for i in range(len(averages)):
        if min(averages[i : i + 2 * second + 1]) >= 0.9:
            return i * SLOT
    return len(limits) * SLOT


def _between(limit: int, sizes: dict[int, float]) -> float:
    below = max((s for s in sizes if s <= limit), default=min(sizes))
    above = min((s for s in sizes if s >= limit), default=max(sizes))
    if below >= above:
        return sizes[below]
    return sizes[below] + (sizes[above] - sizes[below]) * (limit - below) / (above - below)


Row = tuple[str, str, float, float, float, int]


def chain_of(arguments: tuple[int, int, tuple[str, ...], tuple[str, ...]]) -> list[Row]:
    """Policy, kind, second half, whole, settled, growths in a stall, for each phase of one chain."""
    seed, count, only, policies = arguments
    kinds = tuple(k for k in KINDS if not only or k.__name__ in only)
    chain = regimes(seed, count, kinds)
    traces = {size: fixed(chain, seed, size) for size in SIZES}
    runs = {f"fixed {size}": traces[size] for size in (8, 32, 80)} if len(policies) > 1 else {}
    runs |= {name: Simulation(chain, seed, POLICIES[name](), START).run() for name in policies}
    rows: list[Row] = []
    for regime, (start, end) in zip(chain, phases(chain), strict=True):
        middle = (start + end) // 2
        whole = {size: float(sum(trace.returned[start:end])) for size, trace in traces.items()}
        second = max(sum(trace.returned[middle:end]) for trace in traces.values())
        for name, run in runs.items():
            got = run.returned
            rows.append((
                name, regime.kind, sum(got[middle:end]) / max(1, second),
                sum(got[start:end]) / max(whole.values()),
                settled(run.limits[start:end], whole), run.grown_in_stall if regime.kind == "stall" else 0,
            ))  # fmt: skip
    return rows


def table(rows: list[Row]) -> None:
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[0], row[1]].append(row)
    print(f"{'':12} {'':12} {'second half':>14} {'whole phase':>14} {'settled, s':>14}  grown in a stall")
    print(f"{'':12} {'':12} {'median    p10':>14} {'median    p10':>14} {'median    p90':>14}")
    for (name, kind), found in sorted(grouped.items(), key=lambda item: (item[0][1], item[0][0])):
        cells = [_cell([row[2] for row in found], 0.1), _cell([row[3] for row in found], 0.1)]
        cells.append(_cell([row[4] for row in found], 0.9))
        print(f"{kind:12} {name:12} {cells[0]} {cells[1]} {cells[2]}  {sum(row[5] for row in found) or ''}")


def _cell(values: list[float], share: float) -> str:
    ordered = sorted(values)
    return f"{median(ordered):7.2f} {ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]:6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", action="store_true", help="more rounds")
    parser.add_argument("--rounds", type=int, help="chains of seven phases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=(), help="kinds of regimes")
    parser.add_argument("--policy", nargs="*", default=tuple(POLICIES))
    parser.add_argument("--log", action="store_true", help="every decision of one chain")
    chosen = parser.parse_args()
    if chosen.log:
        lines: list[str] = []
        chain = regimes(
            chosen.seed, len(KINDS), tuple(k for k in KINDS if not chosen.only or k.__name__ in chosen.only)
        )
        Simulation(chain, chosen.seed, controlled(lines), START).run()
        at = 0.0
        for r in chain:
            print(f"{at:.2f}: {r}")
            at += r.seconds
        print("\n".join(lines))
        for row in chain_of((chosen.seed, len(KINDS), tuple(chosen.only), ("dbperf",))):
            print(row)
        return
    began = time.perf_counter()
    rounds = chosen.rounds or (24 if chosen.whole else 4)
    work = [(chosen.seed + i, len(KINDS), tuple(chosen.only), tuple(chosen.policy)) for i in range(rounds)]
    with Pool(2) as pool:
        rows = [row for found in pool.imap_unordered(chain_of, work) for row in found]
    table(rows)
    print(f"{rounds} chains in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
