"""What captures see is written down as it comes: one thread a process, about once a second.

Processes die without saying goodbye, so waiting for the end would lose most of what ran. What could not be
written waits, added up, and goes with what comes next. A forked child starts with nothing and a sink of its
own.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import logging
import os
import platform
import random
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from dbperf.errors import DbperfError
from dbperf.model.workload import Observed, Unseen, Writer, combined

LAST_SECONDS = 2.0
"""How long the end of a process is held up at most."""
_FORK_SECONDS = 0.2
_STRINGS_KEPT = 20_000
_DOUBLINGS = 5  # of the time to the next try, while a sink fails


class Source(Protocol):
    """What hands over what it saw since it was last asked."""

    def fresh(self) -> tuple[list[Observed], Unseen]: ...


class Sink(Protocol):
    """Where a process writes what it saw. Used by one thread at a time."""

    def write(self, at: float, observed: Sequence[Observed], unseen: Unseen) -> None:
        """Write all or nothing. Raises to be offered the same again, with more. `at`: seconds since 1970."""

    def close(self) -> None: ...


CreateSink = Callable[[Writer], Sink]


@dataclass(slots=True)
class _Outlet:
    """A sink, made when it is needed, and what waits for it."""

    create: CreateSink
    seconds: float
    sources: list[tuple[Source, Callable[[], object]]] = field(default_factory=list)
    sink: Sink | None = None
    pending: list[Observed] = field(default_factory=list)
    unseen: Unseen = field(default_factory=Unseen)
    due: float = 0.0
    failures: int = 0
    """In a row."""
    warned: bool = False

    def open(self, now: float) -> Sink:
        if self.sink is None:
            number = int.from_bytes(os.urandom(8), "big") >> 1
            self.sink = self.create(Writer(number, platform.node(), os.getpid(), now))
        return self.sink

    def flush(self, now: float) -> None:
        """Write what is new and what waits; what cannot be written waits on."""
        try:
            self._collect()
            if self.pending or self.unseen != Unseen():
                self.open(now).write(now, self.pending, self.unseen)
                self.pending, self.unseen = [], Unseen()
            self.failures = 0
        except Exception as failure:  # noqa: BLE001  never into the application
            self.failures += 1
            self.unseen += Unseen(flush_failures=1)
            self._warn(failure)

    def pause(self) -> float:
        """Seconds to the next flush. Processes that were started together do not go on writing together."""
        return self.seconds * (1 << min(self.failures, _DOUBLINGS)) * random.SystemRandom().uniform(0.9, 1.1)

    def _collect(self) -> None:
        for each in self.sources.copy():
            source, owner = each
            gone = owner() is None  # asked first: what it sees until it goes is then in `fresh`
            observed, unseen = source.fresh()
            self.pending += observed
            self.unseen += unseen
            if gone:
                self.sources.remove(each)
        self.pending = combined(self.pending)
        if excess := self.pending[_STRINGS_KEPT:]:
            del self.pending[_STRINGS_KEPT:]
            self.unseen += Unseen(folded_calls=sum(each.calls for each in excess))

    def _warn(self, failure: Exception) -> None:
        if self.warned:
            return
        self.warned = True
        # Our own errors are written for users; another's message may quote data, or a password.
        with contextlib.suppress(Exception):
            reason = str(failure) if isinstance(failure, DbperfError) else type(failure).__name__
            logging.getLogger("dbperf").warning(
                "what ran cannot be written for now (%s); it is kept and tried again", reason
            )

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self.sink is not None:
                self.sink.close()


@dataclass(frozen=True, slots=True)
class _Request:
    """What the thread is asked for. Each has an event of its own, so that a signal handler may ask as well
    in the middle of another request of the same thread.
    """

    flush: bool = True
    close: bool = False
    stop: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Flusher:
    """The outlets of a process and the thread that serves them, which runs once a statement did.

    The thread is none of `threading`'s: programs join, count and list those.
    """

    def __init__(self) -> None:
        # Held here, because tools that freeze time for tests replace the functions in every module.
        self._clock, self._monotonic = time.time, time.monotonic
        self._outlets: dict[Hashable, _Outlet] = {}
        self._inherited: list[Sink | None] = []
        self._start_empty()

    def _start_empty(self) -> None:
        self._starting = threading.RLock()  # reentrant: a finalizer or a signal handler may execute SQL
        self._writing = threading.Lock()
        self._requests: SimpleQueue[_Request] | None = None
        self._interrupted = False

    def add(
        self, key: Hashable, create: CreateSink, seconds: float, source: Source, owner: Callable[[], object]
    ) -> None:
        """Write what `source` sees from now on to the sink of `key`, every `seconds`.

        The sink is made by `create` when the process has none of that key. When `owner` returns None, its
        engine is gone: what is left is written and `source` is let go.
        """
        self._outlets.setdefault(key, _Outlet(create, seconds)).sources.append((source, owner))

    def awake(self) -> None:
        """See to it that the thread runs."""
        if self._requests is not None:
            return
        with self._starting:
            if self._requests is None:
                requests = self._requests = SimpleQueue()
                try:
                    _thread.start_new_thread(self._serve, (requests,))
                except RuntimeError:  # no threads left, or none any more: `finish` writes
                    self._requests = None

    def flush(self, within: float) -> None:
        """Write what there is, now; returns after `within` seconds even if that is still going on."""
        self._ask(_Request(), within)

    def finish(self, within: float = LAST_SECONDS) -> None:
        """The last flush: closes the sinks. What is seen afterwards is not written."""
        self._ask(_Request(close=True, stop=True), within)
        self._outlets = {}

    def before_fork(self) -> None:
        """Stop the thread: a child must not be forked in the middle of a flush, nor find a second thread."""
        self._interrupted = self._requests is not None
        if self._interrupted:
            self._ask(_Request(flush=False, stop=True), _FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._interrupted:
            self.awake()

    def after_fork_in_child(self) -> None:
        """Start empty. The parent's sinks are the parent's: neither used nor closed, so they are kept."""
        self._start_empty()
        for outlet in self._outlets.values():
            self._inherited.append(outlet.sink)
            outlet.sink, outlet.pending, outlet.unseen = None, [], Unseen()
            outlet.sources = [each for each in outlet.sources if each[1]() is not None]

    def _ask(self, request: _Request, within: float) -> None:
        requests = self._requests
        if request.stop:
            self._requests = None
        if requests is not None:
            requests.put(request)
            request.done.wait(within)
        elif self._writing.acquire(timeout=within):
            self._writing.release()
            self._answer(request)

    def _serve(self, requests: SimpleQueue[_Request]) -> None:
        with self._writing:
            for outlet in list(self._outlets.values()):
                with contextlib.suppress(Exception):  # it will be said when there is something to write
                    outlet.open(self._clock())
        while True:
            try:
                request = requests.get(timeout=self._until_due())
            except Empty:
                self._flush([each for each in self._outlets.values() if each.due <= self._monotonic()])
                continue
            self._answer(request)
            if request.stop:
                return

    def _until_due(self) -> float:
        now = self._monotonic()
        return max(0.0, min((each.due - now for each in list(self._outlets.values())), default=1.0))

    def _answer(self, request: _Request) -> None:
        outlets = list(self._outlets.values())
        if request.flush:
            self._flush(outlets)
        if request.close:
            for outlet in outlets:
                outlet.close()
        request.done.set()

    def _flush(self, outlets: list[_Outlet]) -> None:
        with self._writing:
            for outlet in outlets:
                outlet.flush(self._clock())
                outlet.due = self._monotonic() + outlet.pause()


flusher = Flusher()
"""The one of this process."""

atexit.register(flusher.finish)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=flusher.before_fork,
        after_in_parent=flusher.after_fork_in_parent,
        after_in_child=flusher.after_fork_in_child,
    )
