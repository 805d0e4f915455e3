"""What captures see is written down as it comes: one thread a process, about once a second.

Processes die without saying goodbye, so waiting for the end would lose most of what ran. What could not be
written waits, added up, and goes with what comes next. A forked child starts with nothing and a sink of its
own.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from dbperf.workload.outlet import CreateSink, Outlet, Sink, Source

LAST_SECONDS = 2.0
"""How long the end of a process is held up at most."""
_FORK_SECONDS = 2.0
"""How long a fork waits for the thread: a child that is forked while SQLite works, or a module is imported,
finds a lock taken for ever.
"""
_IMPORT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Request:
    """What the thread is asked for. Each has an event of its own, so that a signal handler may ask as well
    in the middle of another request of the same thread.
    """

    flush: bool = True
    close: bool = False
    stop: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class _Mailbox:
    """Requests to the thread. Waiting allocates nothing that sets the garbage collector off."""

    server: int | None = None
    """The thread's identity."""

    def __init__(self) -> None:
        self._requests: deque[_Request] = deque()
        self._full = _thread.allocate_lock()
        self._full.acquire()

    def ask(self, request: _Request, within: float) -> None:
        """Have the thread answer; returns after `within` seconds at the latest, but waits for an import.

        That ends, unlike a sink that hangs, and a child that is forked in the middle of it can never
        import the same module again.
        """
        self._requests.append(request)
        with contextlib.suppress(RuntimeError):  # it is open already
            self._full.release()
        deadline = time.monotonic() + _IMPORT_SECONDS
        while not request.done.wait(within) and self._is_importing() and time.monotonic() < deadline:
            within = _FORK_SECONDS

    def _is_importing(self) -> bool:
        frame = sys._current_frames().get(self.server or 0)
        while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        return frame is not None

    def wait(self, seconds: float) -> None:
        """Until there may be a request, or for `seconds`."""
        self._full.acquire(True, seconds)

    def take(self) -> _Request | None:
        return self._requests.popleft() if self._requests else None


class Flusher:
    """The outlets of a process and the thread that serves them, which runs once a statement did.

    The thread is none of `threading`'s: programs join, count and list those. `collector`: whether it may
    collect garbage. What a program left behind is then finalized on a thread that it knows nothing about,
    and SQLite, for one, complains.
    """

    def __init__(self) -> None:
        self.collector = True
        # Held here, because tools that freeze time for tests replace the functions in every module.
        self._clock, self._monotonic = time.time, time.monotonic
        self._outlets: dict[Hashable, Outlet] = {}
        self._inherited: list[Sink] = []
        self._start_empty()

    def _start_empty(self) -> None:
        self._starting = threading.RLock()  # reentrant: a finalizer or a signal handler may execute SQL
        self._writing = threading.Lock()
        self._mailbox: _Mailbox | None = None
        self._interrupted = False

    def add(
        self, key: Hashable, create: CreateSink, seconds: float, source: Source, owner: Callable[[], object]
    ) -> None:
        """Write what `source` sees from now on to the sink of `key`, every `seconds`.

        The sink is made by `create` when the process has none of that key. When `owner` returns None, its
        engine is gone: what is left is written and `source` is let go.
        """
        outlet = self._outlets.get(key)
        if outlet is None:
            new = Outlet(create, seconds, due=self._monotonic() + seconds)
            outlet = self._outlets.setdefault(key, new)
        outlet.sources.append((source, owner))

    def awake(self) -> None:
        """See to it that the thread runs."""
        if self._mailbox is not None:
            return
        with self._starting:
            if self._mailbox is None:
                mailbox = self._mailbox = _Mailbox()
                try:
                    mailbox.server = _thread.start_new_thread(self._serve, (mailbox,))
                except RuntimeError:  # no threads left, or none any more: `finish` writes
                    self._mailbox = None

    def flush(self, within: float) -> None:
        """Write what there is, now; returns after `within` seconds even if that is still going on."""
        self._ask(_Request(), within)

    def finish(self, within: float = LAST_SECONDS) -> None:
        """The last flush: closes the sinks. What is seen afterwards is not written."""
        self._ask(_Request(close=True, stop=True), within)
        self._outlets = {}

    def before_fork(self) -> None:
        """Stop the thread: a child must not be forked in the middle of a flush, nor find a second thread."""
        self._interrupted = self._mailbox is not None
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
            if outlet.sink is not None:
                self._inherited.append(outlet.sink)
            outlet.start_empty()

    def _ask(self, request: _Request, within: float) -> None:
        mailbox = self._mailbox
        if request.stop:
            self._mailbox = None
        if mailbox is not None:
            mailbox.ask(request, within)
        elif self._writing.acquire(timeout=within):
            try:
                self._answer(request)
            finally:
                self._writing.release()

    def _serve(self, mailbox: _Mailbox) -> None:
        seconds, going_on = 0.0, True
        while going_on:
            mailbox.wait(seconds)
            # A program that calls gc.disable() in these milliseconds finds it enabled; nothing else changes.
            collecting = not self.collector and gc.isenabled()
            if collecting:
                gc.disable()
            try:
                with self._writing:
                    going_on = self._serve_once(mailbox)
                    seconds = self._until_due()
            finally:
                if collecting:
                    gc.enable()

    def _serve_once(self, mailbox: _Mailbox) -> bool:
        """Do what is asked for and what is due; whether to go on."""
        for outlet in list(self._outlets.values()):
            outlet.begin(self._clock())
        while (request := mailbox.take()) is not None:
            self._answer(request)
            if request.stop:
                return False
        now = self._monotonic()
        self._flush([each for each in list(self._outlets.values()) if each.due <= now])
        return True

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

    def _flush(self, outlets: list[Outlet]) -> None:
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
