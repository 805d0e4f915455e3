"""What one thread saw of one statement, and from which lines."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from operator import attrgetter
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from dbperf.capture.fetch import TimedFetch
from dbperf.capture.parameters import together
from dbperf.capture.timer import Timer, Times

_SITES_KEPT = 64
_FAILURES_KEPT = 64
_OWN = ("more_sets", "rows", "unread_rows", "timeouts", "cancellations", "wait_ns", "fetch_ns")
_COUNTS = (*_OWN, "errors", "more_ns")
_counts = attrgetter(*_COUNTS)
_Key = TypeVar("_Key", bound=Hashable)

SiteKey = tuple[int, int]
"""The identity of a code object and the offset in it: hashing a code object hashes its constants and bytecode
each time. Who keeps a key keeps the code too, so the identity stays its own.
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What the ORM loads with a statement; `kind`, `loader` are those of `Access`.

    Or `kind` is "page", or "batch": a relationship, or columns of a subclass, of many instances at once.
    `parent` is the class of the instances that it is loaded for, as it stands in `Slot.loads`.
    """

    kind: str
    loader: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Eager:
    """A relationship that a statement loads along: the class that declares it, its name, what asks for it.

    `loader` is an option, "joinedload(User.posts)", or a declaration, 'relationship(lazy="joined") of
    User.posts'.
    """

    loader: str
    owner: weakref.ref[type]
    key: str


LOOP = Load("loop")
"""Nothing that the ORM knows of: the application runs it again and again."""
PAGE = Load("page")
"""It pages through many rows."""


class Site:
    """A line that runs a statement: the code and the offset in it, and the `depth` at which it was found, 0
    where it cannot be known by that; see `callsite.Found`.
    """

    __slots__ = ("calls", "code", "depth", "lasti", "load", "slot")

    def __init__(self, slot: Slot, code: CodeType | None, lasti: int) -> None:
        self.slot = slot
        self.code, self.lasti = code, lasti
        self.depth = 0
        self.calls = 0
        self.load: Load | None = None
        """What it is when it runs again and again, once somebody asked."""

    @property
    def key(self) -> SiteKey:
        """Tells it from the other lines of its statement."""
        return id(self.code), self.lasti


class _Taken(NamedTuple):
    """What of a slot was handed over already."""

    times: Times = Times(0, 0, {}, [])
    counts: tuple[int, ...] = (0,) * len(_COUNTS)
    sites: dict[SiteKey, int] = {}  # noqa: RUF012  nobody writes into these
    failures: dict[str, int] = {}  # noqa: RUF012
    samples: list[Any] = []  # noqa: RUF012


_NOTHING = _Taken()


class Slot(Timer):
    """What one thread saw of one statement: a timer of its executions, and more. Times are nanoseconds;
    `more_ns` is of the later batches of an execution that has several.

    `site` is the line that ran it last. A `clean` slot is to be noted as touched when something was counted
    in it. `reads`: it writes nothing. `fetched`: its rows are counted as they are fetched, and not by what
    the driver says when it has executed. `inserts_each`: it writes each of its parameter sets as one row.
    `batched`: one execution may be several calls of the driver. `loads` are the mapped classes that it loads,
    `along` the relationships that come with them. `home` is where is written what becomes of it when an
    operation ends. `ignored` are the rules that its execution options ask to leave out.
    """

    __slots__ = (
        *_OWN,
        "along",
        "batched",
        "clean",
        "failures",
        "fetch",
        "fetched",
        "home",
        "ignored",
        "inserts_each",
        "loads",
        "reads",
        "samples",
        "site",
        "sites",
        "sql",
        "taken",
        "touch",
    )

    def __init__(self, sql: str, home: Any, touch: Any = None) -> None:
        super().__init__()
        self.sql = sql
        self.home = home
        self.touch = touch
        self.clean = touch is not None
        self.taken = _NOTHING
        for name in _OWN:
            setattr(self, name, 0)
        self.batched = self.inserts_each = False
        self.reads = self.fetched = True
        self.ignored = ""
        self.loads: tuple[str, ...] = ()
        self.along: tuple[Eager, ...] = ()
        self.failures: dict[str, int] = {}
        self.site: Site | None = None
        self.sites: dict[SiteKey, Site] = {}
        self.samples: list[Any] = []
        self.fetch = TimedFetch(self)

    more_sets: int
    """Parameter sets beyond one a call."""
    rows: int
    unread_rows: int
    timeouts: int
    cancellations: int
    wait_ns: int
    fetch_ns: int

    def touched(self) -> None:
        """Note that something was counted in a clean slot, after it was counted."""
        if self.clean:
            self.clean = False
            self.touch(self)

    def failed(self, kind: str, name: str) -> None:
        """Count a failure: `kind` is the counter, `name` the class of the exception."""
        setattr(self, kind, getattr(self, kind) + 1)
        if name in self.failures or len(self.failures) < _FAILURES_KEPT:
            self.failures[name] = self.failures.get(name, 0) + 1

    def at(self, code: CodeType | None, lasti: int) -> Site:
        """The site of a spot; beyond the first 64 of a statement all are one, which has no line."""
        key = (id(code), lasti)
        site = self.sites.get(key)
        if site is None:
            if len(self.sites) >= _SITES_KEPT:
                code, lasti, key = None, 0, (0, 0)
            site = self.sites.setdefault(key, Site(self, code, lasti))
        return site

    def absorb(self, other: Slot) -> None:
        """Add what another thread, which may still be writing, saw of the same statement."""
        times, more = self.read(), other.read()
        self.samples = together(self.samples, times.calls, other.samples.copy(), more.calls)
        self.along = self.along or other.along
        self.ignored = self.ignored or other.ignored
        buckets = Counter(times.buckets)
        buckets.update(more.buckets)
        self.restart(Times(times.calls + more.calls, times.ns + more.ns, buckets, []))
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, count in other.failures.copy().items():
            self.failures[name] = self.failures.get(name, 0) + count
        for site in other.sites.copy().values():
            self.at(site.code, site.lasti).calls += site.calls

    def take(self) -> Slot:
        """What came since the last call. Another thread may be writing: what is missed comes next time."""
        before, sites = self.taken, self.sites.copy()
        calls = {key: site.calls for key, site in sites.items()}
        self.taken = now = _Taken(
            self.read(), _counts(self), calls, self.failures.copy(), self.samples.copy()
        )
        fresh = Slot(self.sql, self.home)
        fresh.along, fresh.ignored = self.along, self.ignored
        fresh.restart(_since(before.times, now.times))
        for name, count, known in zip(_COUNTS, now.counts, before.counts, strict=True):
            setattr(fresh, name, count - known)
        fresh.failures = _more(now.failures, before.failures)
        for key, more in _more(calls, before.sites).items():
            fresh.at(sites[key].code, sites[key].lasti).calls = more
        given = {id(each) for each in before.samples}  # which `before` keeps alive, so an id is theirs alone
        fresh.samples = [each for each in now.samples if id(each) not in given]
        return fresh


def _since(before: Times, now: Times) -> Times:
    return Times(now.calls - before.calls, now.ns - before.ns, _more(now.buckets, before.buckets), [])


def _more(now: dict[_Key, int], before: dict[_Key, int]) -> dict[_Key, int]:
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0))}
