"""The hot path: what happens behind every execution, in a few microseconds at most.

Written out in one function: a call in Python costs as much as half of what is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sized
from time import perf_counter_ns
from typing import Any, Protocol

from dbperf.capture.budget import account
from dbperf.capture.callsite import frame_at, locator
from dbperf.capture.failure import kind_of
from dbperf.capture.fetch import DEFAULT, watch_streamed
from dbperf.capture.parameters import keep
from dbperf.capture.recorder import Recorder, Recorders
from dbperf.capture.scope import SKIPPED, STEADY, Run, Scope, current
from dbperf.capture.slot import Slot
from dbperf.capture.statement import changed, continues, describe, is_batched, key_of, note_load
from dbperf.capture.timer import RECENT
from dbperf.model.workload import FEWEST
from dbperf.settings import Resolved


class Record(Protocol):
    """Called once for each execution, with when it started; never raises."""

    def __call__(
        self,
        started: int,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        many: bool,
        error: BaseException | None = None,
    ) -> None: ...


def recording(  # noqa: C901
    recorders: Recorders,
    settings: Resolved,
    paramstyle: str,
    *,
    hop: bool,
    initializing: Collection[Any],
    closed: Sized,
    give_up: Callable[[Exception], None],
) -> Record:
    """The function that counts executions in `recorders`, until something is in `closed`.

    Statements on connections in `initializing` are the dialect's own. `hop`: the engine runs in greenlets.
    `give_up` is called with the exception when counting fails.
    """
    local = recorders.local
    locate, at = locator(settings, hop=hop), frame_at(hop=hop)
    budget_ns = settings.overhead_budget_us * 1000
    keep_parameters = settings.capture_parameters
    clock, operation = perf_counter_ns, current.get

    def record(  # noqa: C901
        started: int,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        many: bool,
        error: BaseException | None = None,
    ) -> None:
        ended = clock()
        if closed:  # somebody wrapped the dialect after us, so our functions had to stay
            return
        try:
            nanoseconds = ended - started
            try:
                mine = local.recorder
            except AttributeError:
                mine = recorders.mine()
            try:
                slot = mine.slots[statement]
            except KeyError:
                slot = find(mine, statement, parameters, context)
                if slot is None:
                    return
            if slot.batched and continues(slot, context, nanoseconds, cursor, error):
                return
            recent = slot.recent  # as Timer.add has it
            recent.append(nanoseconds)
            if len(recent) >= RECENT:
                slot.restart(slot.read())
            if many:
                slot.more_sets += len(parameters) - 1
            if error is not None:
                slot.failed(kind_of(error), type(error).__name__)
            elif not slot.reads:
                rows = changed(slot, cursor, parameters, context, many=many)
                slot.fetched = rows is None
                slot.rows += rows or 0
            if keep_parameters:
                keep(slot.samples, slot.calls, next(iter(parameters), ()) if many else parameters or ())
            scope: Scope | None
            try:
                scope = checkout = context.root_connection._dbapi_connection._connection_record._dbperf
            except AttributeError:  # detached from its pool, or not from a pool that is watched
                scope = None
            else:
                if not checkout.used:
                    slot.wait_ns += checkout.begin()
            left = mine.left = mine.left - 1
            if left and mine.shed:
                mine.unlocated += 1
                if mine.shed > 1:
                    mine.unsplit += 1
                    slot.touched()
                    return
            elif slot is not mine.other:
                tracked = operation()
                if tracked is not None and not tracked.over:
                    scope = tracked
                # Which line ran it: the one that ran it last, as a rule, which one frame tells. See `locate`.
                site = slot.site
                run: Any = None if scope is None else scope.runs.get(site)
                loops = type(run) is Run
                if loops and run.skip:
                    run.skip -= 1
                else:
                    known = False
                    if site is not None and site.depth:
                        try:  # at depth 0 is our own frame: to hold on to it would be a cycle
                            frame = at(site.depth)
                            known = frame.f_code is site.code and frame.f_lasti == site.lasti
                        except (AttributeError, ValueError):  # the stack is not that deep
                            pass
                    if not known:
                        if loops:
                            run.steady = 0
                        site = locate(slot) or slot.at(None, 0)
                        run = None if scope is None else scope.runs.get(site)
                        loops = type(run) is Run
                        if loops:
                            run.steady = 0
                    elif loops:
                        run.steady += 1
                        if run.steady >= STEADY and len(slot.sites) == 1:
                            run.skip = nanoseconds >> 3 & SKIPPED
                site.calls += 1
                if scope is not None:
                    if not slot.reads:
                        scope.writes += 1
                    if run is None:
                        # Those of a write are not asked for again, and may be large.
                        scope.runs[site] = nanoseconds, parameters if slot.reads else None, scope.writes
                    else:
                        if not loops:
                            run = scope.second(site, run)
                        if run.add(nanoseconds, parameters, scope.writes) == FEWEST and site.load is None:
                            note_load(site, context)
            if error is None and context is not None and context.cursor_fetch_strategy is DEFAULT:
                options = context.execution_options
                if context._is_server_side or (options and options.get("stream_results")):
                    watch_streamed(slot, context)
                else:
                    context.cursor_fetch_strategy = slot.fetch
            if slot.clean:
                slot.touched()
            if not left:
                account(mine, clock() - ended, budget_ns)
        except Exception as failure:  # noqa: BLE001  an observer never raises
            give_up(failure)

    def find(mine: Recorder, statement: str, parameters: Any, context: Any) -> Slot | None:
        """The slot of a statement that is not known by its text; None for what is not the application's."""
        if initializing and getattr(context, "root_connection", None) in initializing:
            return None
        key = key_of(statement, context)
        slot = mine.slots.get(key)
        if slot is None:
            bare = parameters is None and paramstyle in {"format", "pyformat"}
            # Only that driver call takes a % as it is.
            slot = recorders.new_slot(mine, key, statement.replace("%", "%%") if bare else statement)
            if slot is not mine.other:
                mine.left = max(mine.left, 2)  # what is asked once is not what an execution costs
                describe(slot, statement, context)
        if not slot.batched and is_batched(context):
            slot.batched = True
        return slot

    return record
