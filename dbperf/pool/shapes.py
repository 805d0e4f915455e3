"""What throughput may look like against the number of statements that run at once, and which of it was seen.

Every database is one of a few dozen *shapes*: throughput grows in proportion to concurrency up to a knee,
and is then flat or falls, as in the Universal Scalability Law (Gunther), whose contention and coherency are
the two here. Counts of transactions at different concurrencies say which shapes are likely (Poisson counts
with an unknown common rate, whose likelihood needs three sums a shape), and likely shapes say which limit
is best on average, and which limit is worth trying because it would tell those apart that disagree on the
best one (value of information).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from operator import mul

KNEES = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0, inf)
"""Concurrency beyond which more gives little."""
FALLS = (0.0, 0.25, 0.5)
"""Share that is lost in the end, far beyond the knee."""
SHAPES = tuple((knee, fall) for knee in KNEES for fall in FALLS if knee < inf or not fall)
_PRIOR = tuple(0.0 if knee < inf else log(3.0) for knee, _ in SHAPES)

HORIZON = 24.0
"""Ticks over which what a trial teaches must pay for what it costs; more for long trials."""
AROUND = 1.0
"""Ticks that the way to a trial and back takes."""
FEW = 0.005
"""Shapes less likely than this are not thought about."""


def throughput(shape: tuple[float, float], running: float) -> float:
    """Relative throughput with so many statements at once: 1 per statement far below the knee."""
    knee, fall = shape
    x = running / knee
    xx = x * x
    return running / sqrt(1 + xx) * (1 - fall * xx / (xx + 16))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sums of what was seen: transactions; for each shape, transactions x log rate, and rate x seconds."""

    count: float = 0.0
    logs: tuple[float, ...] = (0.0,) * len(SHAPES)
    exposure: tuple[float, ...] = (0.0,) * len(SHAPES)

    def plus(self, running: float, count: float, seconds: float, kept: float) -> Evidence:
        """With `count` transactions seen in `seconds`, and the share `kept` of what was seen before."""
        seen = [throughput(shape, max(running, 0.1)) for shape in SHAPES]
        return Evidence(
            self.count * kept + count,
            tuple(total * kept + count * log(s) for total, s in zip(self.logs, seen, strict=True)),
            tuple(total * kept + s * seconds for total, s in zip(self.exposure, seen, strict=True)),
        )

    def faded(self, kept: float) -> Evidence:
        """With only the share `kept` of what was seen; none when that is next to nothing."""
        if self.count * kept < 1:
            return Evidence()
        return Evidence(
            self.count * kept,
            tuple(total * kept for total in self.logs),
            tuple(total * kept for total in self.exposure),
        )

    def with_(self, other: Evidence) -> Evidence:
        """Both."""
        return Evidence(
            self.count + other.count,
            tuple(a + b for a, b in zip(self.logs, other.logs, strict=True)),
            tuple(a + b for a, b in zip(self.exposure, other.exposure, strict=True)),
        )

    def surprise(self, running: float, count: float, seconds: float, weight: float) -> float:
        """Standard deviations between `count` and what the nearest of the likely shapes expects."""
        if not self.count:
            return 0.0
        likely = {shape for shape, _ in self.likely(weight)}
        found = inf
        for shape, exposure in zip(SHAPES, self.exposure, strict=True):
            if shape in likely:
                expected = max(1.0, self.count / exposure * throughput(shape, max(running, 0.1)) * seconds)
                scatter = sqrt(
                    expected * (1 / weight) * (1 + seconds * expected / self.count) + (0.2 * expected) ** 2
                )
                found = min(found, abs(count - expected) / scatter)
        return found

    def likely(self, weight: float, doubt: float = 0.0) -> list[tuple[tuple[float, float], float]]:
        """The shapes that are likely, with probabilities.

        A count weighs `weight`, less than 1 where counts scatter more than by chance. `doubt`
        is the probability that nothing of what was seen holds any more.
        """
        logs = list(_PRIOR)
        if self.count:
            pairs = zip(_PRIOR, self.logs, self.exposure, strict=True)
            logs = [prior + weight * (total - self.count * log(seen)) for prior, total, seen in pairs]
        seen, before = _normal(logs), _normal(_PRIOR)
        mixed = [(1 - doubt) * p + doubt * q for p, q in zip(seen, before, strict=True)]
        found = list(zip(SHAPES, mixed, strict=True))
        total = sum(mixed)
        kept = [(shape, p / total) for shape, p in found if p >= FEW * total]
        total = sum(p for _, p in kept)
        return [(shape, p / total) for shape, p in kept]


def _normal(logs: Sequence[float]) -> list[float]:
    """Probabilities of their logarithms."""
    most = max(logs)
    found = [exp(value - most) for value in logs]
    total = sum(found)
    return [p / total for p in found]


@dataclass(frozen=True, slots=True)
class Choice:
    """A limit, what it is expected to give of the best one's throughput, and whether it is tried to learn."""

    limit: int
    worth: float
    trial: bool
    worth_now: float
    """The same of the present limit."""


def ladder(top: int, also: int) -> list[int]:
    """The limits to choose from: `top` and below, in steps of 1.5, and `also`."""
    found, limit = {also}, float(top)
    while limit >= 1:
        found.add(round(limit))
        limit /= 1.5
    found.add(1)
    return sorted(found)


def choose(
    likely: list[tuple[tuple[float, float], float]], weight: float, limits: list[int], limit: int,
    share: float, expected: float, ticks: float = 1.0,
) -> Choice:  # fmt: skip
    """The best of `limits`, given that `share` of the connections in use execute.

    `limit` is the present one, `expected` the transactions there while a trial of `ticks` lasts: they say how
    well a trial could be told from it.
    """
    probabilities = [p for _, p in likely]
    rates = [[throughput(shape, max(share * each, 0.1)) for each in limits] for shape, _ in likely]
    best_rates = [max(row) for row in rates]
    columns = list(zip(*rates, strict=True))
    worths = [[rate / most for rate, most in zip(column, best_rates, strict=True)] for column in columns]
    means = _means(worths, probabilities)
    now = limits.index(limit)
    best = max(range(len(limits)), key=means.__getitem__)
    # The smallest that is as good, and the present one unless another is clearly better.
    best = next(i for i, mean in enumerate(means) if mean >= means[best] - 0.01)
    if means[now] >= means[best] - 0.015:
        best = now
    horizon = max(HORIZON, 8 * (ticks + AROUND))
    chosen, most = best, horizon * means[best]
    if expected >= 1 and means[best] < 0.985:
        logs = [[log(rate) for rate in column] for column in columns]
        for i in range(now % 2, len(limits), 2):  # neighbours tell little apart
            if i == now or not 0.19 <= limits[i] / limit <= 5.2:
                continue
            gains = [a - b for a, b in zip(logs[i], logs[now], strict=True)]
            learned = _learned(gains, worths, probabilities, expected, weight)
            score = (ticks + AROUND) * means[i] + (horizon - ticks - AROUND) * learned
            if score > most + 0.005 * horizon:
                chosen, most = i, score
    return Choice(limits[chosen], means[chosen], chosen != best, means[now])


def _means(worths: list[list[float]], probabilities: list[float]) -> list[float]:
    """What each limit is worth on average."""
    return [sum(map(mul, column, probabilities)) for column in worths]


def _learned(
    gains: list[float], worths: list[list[float]], probabilities: list[float], expected: float, weight: float
) -> float:
    """What the best choice is worth on average, once a trial has told by how much more it gives.

    `gains`: the logarithm of that, for each shape. `worths`: of each limit, for each shape.
    """
    total = 0.0
    for true, p in zip(gains, probabilities, strict=True):
        narrow = weight * expected / (2 * (1 + exp(-min(true, 3.0))))
        after = [q * exp(-narrow * (gain - true) ** 2) for gain, q in zip(gains, probabilities, strict=True)]
        total += p * max(_means(worths, after)) / sum(after)
    return total
