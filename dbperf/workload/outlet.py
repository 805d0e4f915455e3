"""A place where what captures see is written, and what waits for it while it cannot be."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from dbperf.errors import DbperfError
from dbperf.model.workload import Seen, Unseen, Writer, seen_together
from dbperf.workload.bounds import bounded

_DOUBLINGS = 5  # of the time to the next try, while a sink fails


class Source(Protocol):
    """What hands over what it saw since it was last asked."""

    def fresh(self) -> Seen: ...


class Sink(Protocol):
    """Where a process writes what it saw. Used by one thread at a time."""

    def write(self, at: float, seen: Seen) -> None:
        """Write all or nothing. Raises to be offered the same again, with more. `at`: seconds since 1970."""

    def close(self) -> None: ...


CreateSink = Callable[[Writer], Sink]


@dataclass(slots=True)
class Outlet:
    """A sink, made when it is needed, and what waits for it."""

    create: CreateSink
    seconds: float
    due: float
    sources: list[tuple[Source, Callable[[], object]]] = field(default_factory=list)
    sink: Sink | None = None
    pending: Seen = field(default_factory=Seen)
    failures: int = 0
    """In a row."""
    warned: bool = False

    def begin(self, now: float) -> None:
        """Make the sink before there is something to write: a spool says that its process is alive."""
        if self.sink is None and not self.failures:
            try:
                self.open(now)
            except Exception:  # noqa: BLE001  it is said when there is something to write
                self.failures += 1

    def open(self, now: float) -> Sink:
        """The sink; a new one has a writer of its own."""
        if self.sink is None:
            number = int.from_bytes(os.urandom(8), "big") >> 1
            self.sink = self.create(Writer(number, platform.node(), os.getpid(), now))
        return self.sink

    def flush(self, now: float) -> None:
        """Write what is new and what waits; what cannot be written waits on."""
        try:
            self._collect()
            if self.pending:
                self.open(now).write(now, self.pending)
                self.pending, self.failures = Seen(), 0
        except Exception as failure:  # noqa: BLE001  never into the application
            self.failures += 1
            failed = Seen(unseen=Unseen(flush_failures=1))
            self.pending = seen_together([self.pending, failed])
            self._warn(failure)

    def pause(self) -> float:
        """Seconds to the next flush. Processes that were started together do not go on writing together."""
        return self.seconds * (1 << min(self.failures, _DOUBLINGS)) * random.SystemRandom().uniform(0.9, 1.1)

    def _collect(self) -> None:
        new: list[Seen] = []
        try:
            for each in self.sources.copy():
                source, owner = each
                gone = owner() is None  # asked first: what it sees until it goes is then in `fresh`
                if seen := source.fresh():
                    new.append(seen)
                if gone:
                    self.sources.remove(each)
        finally:
            if new:
                self.pending = bounded(seen_together([self.pending, *new]), self.pending)

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

    def start_empty(self) -> None:
        """Forget sink and all: a forked child has nothing to do with what its parent saw."""
        self.sink, self.pending = None, Seen()
        self.failures, self.warned = 0, False
        self.sources = [each for each in self.sources if each[1]() is not None]

    def close(self) -> None:
        """Close the sink."""
        with contextlib.suppress(Exception):
            if self.sink is not None:
                self.sink.close()
