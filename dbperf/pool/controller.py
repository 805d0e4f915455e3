"""How many connections may be in use at once: a pure function from what was observed to a decision.

The pool asks it once a tick, about four times a second while anything happens, and once more when a queue
appears. It knows no clock, no thread and no database, so tests and simulators drive it as the pool does.
"""

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


@dataclass(frozen=True, slots=True)
class Decision:
    """The limit from now on, and why; "" where it stays for no particular reason."""

    limit: int
    reason: str = ""


@dataclass(frozen=True)
class State:
    pass


def decide(state, seen):
    if seen.waiting and seen.limit < seen.cap:
        return state, D2(min(seen.cap, seen.limit * 2), "demand", "demand")
    return state, D2(seen.limit, "", "")


@dataclass(frozen=True)
class D2:
    limit: int
    kind: str
    reason: str
