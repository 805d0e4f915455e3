"""What it takes at least to ask the database anything: the price of a statement that need not be sent."""

from __future__ import annotations

from dataclasses import dataclass

from dbperf.model.workload import Workload

SUPPORTED = 20
"""Measurements from which on a quantile is taken for what it says."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Seconds, and what they were measured at."""

    seconds: float
    source: str


def round_trip(workload: Workload, database: str) -> RoundTrip:
    """The round trip to a database, as far as the workload tells.

    The median ping where the pool sends any before it hands out a connection: a ping is nothing else.
    Without, the least of what comes near it: the 10th percentiles of COMMIT and of each statement that ran
    20 times or more. ROLLBACK is none of them, since drivers send none where no transaction is open. Where
    nothing ran so often, the fastest statement there is. Always a lower bound, as the price of a statement
    has to be; 0 where nothing was timed.
    """
    pings = [
        each.ping for each in workload.pools if each.database == database and each.ping.count >= SUPPORTED
    ]
    if pings:
        return min((RoundTrip(each.quantile(0.5), "pings of the pool") for each in pings), key=_seconds)
    commits = [each.commit for each in workload.transactions if each.database == database]
    ours = [each.latency for each in workload.statements if each.database == database]
    timed = [
        RoundTrip(each.quantile(0.1), "the fastest commits") for each in commits if each.count >= SUPPORTED
    ]
    timed += [
        RoundTrip(each.quantile(0.1), "the fastest statement") for each in ours if each.count >= SUPPORTED
    ]
    few = [RoundTrip(each.quantile(0.1), "the fastest statement") for each in ours if each.count]
    return min(timed or few, key=_seconds, default=RoundTrip(0.0, "nothing"))


def _seconds(trip: RoundTrip) -> float:
    return trip.seconds
