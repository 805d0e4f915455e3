"""What a pool counts about itself, for `Workload.pools` and exporters; all of it adds up."""

from __future__ import annotations

from collections import Counter, defaultdict

STATES = ("executing", "idle_in_transaction", "idle")
"""What a connection in use does: see `Observation`."""


class Metrics:
    """The counts of one engine's pools: a pool that takes another's place goes on with the same.

    Holds on to nothing of the pool. Written by the pool's housekeeping alone, some times a second; read from
    any thread. Names, as in `model.pools.Pool`:

    - `allowed.N`, `open.N`, `waiting.N`: milliseconds with a limit of N, with N connections open (idle ones
      among them), with N checkouts waiting;
    - `cap.WHOSE`: milliseconds with a cap of this origin (`AdaptivePool.cap_of`);
    - `executing_ns`, `idle_in_transaction_ns`, `idle_ns`: connections in use by what they did, sampled;
    - `decision.KIND`: how often the limit was changed for this kind of reason;
    - `stalled_ms`: how long the database answered nobody;
    - `leaks`, `leaks_returned`: connections held too long, and of these, those that came back;
    - `retired.WHY`: idle connections closed (`lifetime`, `unused`, `dead`, `surplus`);
    - `refused`: checkouts not let into a line that was too long;
    - `spared_pings`: pings not sent since the connection had been used just before.
    """

    def __init__(self) -> None:
        self.pool: Counter[str] = Counter()
        self.sites: defaultdict[tuple[str, int, str], Counter[str]] = defaultdict(Counter)
        """By the line of the application that took a connection (file, line, function): `leaks`,
        `leaks_returned`, `leaked_ns` (how long those were held, as far as known) and
        `idle_in_transaction_ns`, sampled.
        """

    def clear(self) -> None:
        """Start empty, as a forked child does."""
        self.pool.clear()
        self.sites.clear()

    def counts(self) -> Counter[str]:
        """A copy; a thread may be writing."""
        return Counter(self.pool.copy())

    def by_site(self) -> dict[tuple[str, int, str], Counter[str]]:
        """A copy, like `counts`."""
        return {site: counts.copy() for site, counts in self.sites.copy().items()}
