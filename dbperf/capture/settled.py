"""What is known of statements once a scope has ended: which operations they were part of, and repetitions.

Written when an operation or a checkout ends, by whichever thread that is, so a lock guards it. The hot path
never comes here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator

from dbperf.capture.along import Along
from dbperf.capture.scope import Operation, Run, Scope, parent_of, untold
from dbperf.capture.slot import LOOP, Site, Slot
from dbperf.capture.timer import Timer

_KEPT = 20_000
"""Pairs of statement and operation, and accesses, that are told apart."""
_NAMES_KEPT = 1000
_MARKERS_KEPT = 64
_LONGEST = 200
_OTHER = "other"

AccessKey = tuple[str, str, Site, str, Site | None]
"""Kind, operation, the line, the loader option, the line that loaded the parents."""


class Tally:
    """What operations of one name did."""

    __slots__ = ("errors", "execute_ns", "markers", "statements", "whole")

    def __init__(self) -> None:
        self.whole = Timer()
        self.errors = self.statements = self.execute_ns = 0
        self.markers: dict[str, tuple[int, int]] = {}

    def add(self, operation: Operation, nanoseconds: int) -> None:
        """Count an operation that is over."""
        statements, execute_ns = operation.executed()
        self.whole.add(nanoseconds)
        self.errors += operation.error
        self.statements += statements
        self.execute_ns += execute_ns
        for marker, (times, total) in operation.markers.items():
            name = _known(marker, self.markers, _MARKERS_KEPT)
            known = self.markers.get(name, (0, 0))
            self.markers[name] = known[0] + times, known[1] + total

    def counts(self) -> dict[str, int]:
        """As counts of a figure."""
        counts = self.whole.counts("whole")
        counts |= {"calls": counts.pop("wholes"), "errors": self.errors}
        counts |= {"statements": self.statements, "execute_ns": self.execute_ns}
        for name, (times, total) in self.markers.items():
            counts |= {f"marker {name}": times, f"marker_ns {name}": total}
        return counts


class Book:
    """Calls by statement and operation; [operations, calls, nanoseconds] by access; what operations did, by
    name.
    """

    def __init__(self) -> None:
        self.calls: dict[tuple[Slot, str], int] = {}
        self.accesses: dict[AccessKey, list[int]] = {}
        self.operations: dict[str, Tally] = {}

    def called(self, slot: Slot, operation: str, calls: int) -> None:
        """Add calls of a statement in an operation."""
        key = slot, _known(operation, self.operations, _NAMES_KEPT)
        if key not in self.calls and len(self.calls) >= _KEPT:
            key = slot, _OTHER
        self.calls[key] = self.calls.get(key, 0) + calls

    def accessed(self, key: AccessKey, operations: int, calls: int, nanoseconds: int) -> None:
        """Add to an access; beyond the first 20,000 none is kept."""
        total = self.accesses.get(key)
        if total is None:
            if len(self.accesses) >= _KEPT:
                return
            total = self.accesses[key] = [0, 0, 0]
        total[0] += operations
        total[1] += calls
        total[2] += nanoseconds

    def ended(self, operation: Operation, nanoseconds: int) -> None:
        """Add what an operation did."""
        name = _known(operation.name, self.operations, _NAMES_KEPT)
        self.operations.setdefault(name, Tally()).add(operation, nanoseconds)


def _known(name: str, names: Collection[str], most: int) -> str:
    """A name, or, where it is new and there are `most` of them already, the one that is for all others."""
    return name if name in names or len(names) < most else _OTHER


class Settled:
    """Two books of one engine: of all, and, where somebody writes it down, of what came since last time.

    And what its statements load along. `closed`: the engine is not instrumented any more.
    """

    def __init__(self, *, written_down: bool) -> None:
        self._written_down = written_down
        self.closed = False
        self.along = Along()
        self.forget()

    def forget(self) -> None:
        """Start empty."""
        self.along.forget()
        self.all, self._new = Book(), Book()
        self.books = (self.all, self._new) if self._written_down else (self.all,)

    def fresh(self) -> Book:
        """Everything since the last call."""
        with lock:
            taken, self._new = self._new, Book()
            self.books = self.all, self._new
        return taken


def settle(scope: Scope, name: str = "") -> None:
    """Write down what is new of a scope; `name` is that of an operation, "" where none is open."""
    if not scope.noticed:
        return
    with lock:
        for run, new, before in untold(scope):
            for key, counts in _accesses(scope, name, run.site, new, before):
                for book in run.site.slot.home.books:
                    book.accessed(key, *counts)


def operation_ended(operation: Operation, nanoseconds: int, home: Settled | None) -> None:
    """Write down an operation that is over: with each of its statements, and how it went with the engine of
    the first of them, or at `home` where it ran none.
    """
    operation.name = str(operation.name)[:_LONGEST]
    settle(operation, operation.name)
    with lock:
        for site, run in list(operation.runs.items()):
            calls = run.calls if isinstance(run, Run) else 1
            for book in site.slot.home.books:
                book.called(site.slot, operation.name, calls)
        first = next(iter(operation.runs or operation.inner_runs), None)
        for book in first.slot.home.books if first else home.books if home else ():
            book.ended(operation, nanoseconds)


def _accesses(
    scope: Scope, name: str, site: Site, new: tuple[int, ...], before: tuple[int, ...]
) -> Iterator[tuple[AccessKey, tuple[int, int, int]]]:
    different, spent, again, again_ns = new
    if again:
        yield ("again", name, site, "", None), (int(not before[2]), again, again_ns)
    load = site.load or LOOP
    if not different or load.kind in {"batch", "page"}:
        return
    above = parent_of(scope, site, load.parent) if load.parent else None
    yield (load.kind, name, site, load.loader, above), (int(not before[0]), different, spent)


lock = threading.RLock()  # reentrant: a finalizer may end a scope


def _renew_lock() -> None:
    global lock
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # another thread may have held it, and a child does not have that thread
    os.register_at_fork(after_in_child=_renew_lock)
