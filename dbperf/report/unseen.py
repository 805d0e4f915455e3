"""What capture did not see, and what it cost the application."""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.model.workload import Unseen
from dbperf.report.format import duration, plural

_SHED = "dbperf was over its own budget"


def unseen(what: Unseen) -> Iterator[str]:
    """A sentence for each thing that is missing from the figures, and one on dbperf's own time."""
    if what.folded_calls:
        took = f", {duration(what.folded_ns / 1e9)}" if what.folded_ns else ""
        executions = plural(what.folded_calls, "execution")
        yield f"{executions}{took}, counted in no statement: max_statements was reached"
    if what.unlocated_calls:
        executions = plural(what.unlocated_calls, "execution")
        yield f"{executions} without a line of the application: {_SHED}"
    if what.unsplit_calls:
        executions = plural(what.unsplit_calls, "execution")
        yield f"{executions} without their fetching and repetition: {_SHED}"
    if what.observer_failures:
        yield f"capture failed {plural(what.observer_failures, 'time')} and switched itself off"
    if what.flush_failures:
        yield f"writing down what was seen failed {plural(what.flush_failures, 'time')} and was tried again"
    if what.own_calls:
        own = duration(what.own_seconds)
        yield f"dbperf itself took about {own} a call, measured at {plural(what.own_calls, 'call')}"
