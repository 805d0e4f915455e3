"""What was seen of an engine's statements, as the rest of dbperf reads it: all of it, or what is new."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Dialect

from dbperf.capture.callsite import call_site
from dbperf.capture.recorder import Recorders, Slot
from dbperf.model.histogram import Latency
from dbperf.model.workload import Observed, Seen, Unseen


class Observations:
    """What was seen of one engine's statements. Holds on to nothing of the engine, so it may outlive it.

    `awake` is for who calls `fresh`: it is called whenever a thread begins to run statements.
    """

    def __init__(
        self, dialect: Dialect, database: str, max_statements: int, awake: Callable[[], None] | None = None
    ) -> None:
        self._dialect, self._paramstyle = dialect.name, dialect.paramstyle
        self._database = database
        self.recorders = Recorders(max_statements, awake)
        self.failures = self._failures_taken = 0

    def observed(self) -> list[Observed]:
        """Everything seen so far, by SQL string. Other threads may go on writing; counts of an execution
        that is being recorded at this moment may be in some numbers and not yet in others.
        """
        return [self._observed(sql, slot) for sql, slot in self.recorders.total().slots.items()]

    def unseen(self) -> Unseen:
        """What was counted but not kept."""
        return Unseen(folded_calls=self.recorders.total().folded, observer_failures=self.failures)

    def fresh(self) -> Seen:
        """What was seen since the last call, by SQL string and thread: the caller's to keep from now on.

        Parameter sets are handed over once. Counts missed of an execution that is being recorded at this
        moment come with the next call. Empty, and cheap, when nothing ran.
        """
        slots, folded = self.recorders.fresh()
        failures, self._failures_taken = self.failures - self._failures_taken, self.failures
        unseen = Unseen(folded_calls=folded, observer_failures=failures)
        return Seen(tuple(self._observed(sql, slot) for sql, slot in slots), unseen=unseen)

    def forget(self) -> None:
        """Start empty."""
        self.recorders.reset()
        self.failures = self._failures_taken = 0

    def _observed(self, sql: str, slot: Slot) -> Observed:
        sites = [call_site(spot, calls) for spot, calls in slot.sites.values()]
        return Observed(
            sql=sql,
            dialect=self._dialect,
            paramstyle=self._paramstyle,
            database=self._database,
            calls=slot.calls,
            parameter_sets=slot.parameter_sets,
            rows=slot.rows,
            errors=slot.errors,
            cancellations=slot.cancellations,
            execute_ns=slot.execute_ns,
            latency=Latency.of(slot.latency),
            call_sites=tuple(sorted(sites, key=lambda site: -site.calls)),
            parameters=tuple(slot.samples),
        )
