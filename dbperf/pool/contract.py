"""What the pool tells its controller, and what the controller answers."""

from __future__ import annotations

from dataclasses import dataclass

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
    cpu: float = 0.0
    """Processor seconds that the program used per second."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The limit from now on, and why: a stable word of KINDS and a text, "" where nothing is to be said."""

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
