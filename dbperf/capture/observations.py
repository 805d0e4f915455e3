"""What was seen of an engine, as the rest of dbperf reads it: all of it, or what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from sqlalchemy.engine import Dialect

from dbperf.capture import settled
from dbperf.capture.callsite import call_site
from dbperf.capture.pool import PoolState
from dbperf.capture.poolcounts import Counts, by_line
from dbperf.capture.recorder import Recorders
from dbperf.capture.settled import AccessKey, Book, Settled, settle
from dbperf.capture.slot import Site, Slot
from dbperf.model.histogram import Latency
from dbperf.model.pools import Holder, Pool
from dbperf.model.runtime import Figure, Operation, Transactions
from dbperf.model.workload import Access, CallSite, Observed, Seen, Unseen, combined

_TRANSACTIONS = ("begin", "commit", "rollback")
_OF_POOL = ("wait", "held", "raw", "connect", "ping", "busy", "timeouts")
_UNSEEN = ("folded_calls", "folded_ns", "unlocated_calls", "unsplit_calls", "own_ns", "own_calls")


class Observations:
    """What was seen of one engine. Holds on to nothing of the engine, so it may outlive it.

    `awake` is for who calls `fresh`: it is called whenever a thread begins to run statements.
    """

    def __init__(
        self, dialect: Dialect, database: str, max_statements: int, awake: Callable[[], None] | None = None
    ) -> None:
        self._dialect, self._paramstyle = dialect.name, dialect.paramstyle
        self._database = database
        self.settled = Settled(written_down=awake is not None)
        self.recorders = Recorders(max_statements, self.settled, awake)
        self.pool = PoolState()
        self.failures = self._failures_taken = 0

    def seen(self) -> Seen:
        """Everything seen so far. Other threads may go on writing; counts of an execution that is being
        recorded at this moment may be in some numbers and not yet in others.
        """
        self._settle_open()
        slots, counts = self.recorders.total()
        pool = self.pool.counts.total()
        with settled.lock:
            return self._seen(slots, self.settled.all, counts, pool, self.failures, fresh=False)

    def fresh(self) -> Seen:
        """What was seen since the last call, by SQL string and thread: the caller's to keep from now on.

        Parameter sets are handed over once. Counts missed of an execution that is being recorded at this
        moment come with the next call. Empty, and cheap, when nothing ran.
        """
        self._settle_open()
        slots, counts = self.recorders.fresh()
        failures, self._failures_taken = self.failures - self._failures_taken, self.failures
        pool = self.pool.counts.fresh()
        return self._seen(slots, self.settled.fresh(), counts, pool, failures, fresh=True)

    def forget(self) -> None:
        """Start empty."""
        self.recorders.reset()
        self.settled.forget()
        self.pool.out.clear()
        self.pool.counts.forget()
        self.failures = self._failures_taken = 0

    def _settle_open(self) -> None:
        """What is noticed on connections that are in use: a program may never give one back."""
        for checkout in list(self.pool.out):
            if checkout.noticed:
                settle(checkout)

    def _seen(
        self,
        slots: Iterable[Slot],
        book: Book,
        counts: Counter[str],
        of_pool: Counts,
        failures: int,
        *,
        fresh: bool,
    ) -> Seen:
        observed = [self._observed(slot) for slot in slots]
        observed += [self._called(*key, calls) for key, calls in book.calls.items()]
        observed += [self._accessed(key, counted) for key, counted in book.accesses.items()]
        observed += [self._used(sql, access) for sql, access in self.settled.along.reads(fresh=fresh)]
        unseen = Unseen(observer_failures=failures, **{name: counts[name] for name in _UNSEEN})
        figures = [*self._figures(counts, of_pool)]
        for name, tally in book.operations.items():
            figures.append(Figure.of(Operation.KIND, name, "", tally.counts()))
        return Seen(tuple(combined(observed)), tuple(each for each in figures if each.counts), unseen)

    def _observed(self, slot: Slot) -> Observed:
        times = slot.read()
        sites = [call_site(each.code, each.lasti, each.calls) for each in slot.sites.values() if each.code]
        return Observed(
            sql=slot.sql,
            dialect=self._dialect,
            paramstyle=self._paramstyle,
            database=self._database,
            calls=times.calls,
            parameter_sets=times.calls + slot.more_sets,
            rows=slot.rows,
            unread_rows=slot.unread_rows,
            errors=slot.errors,
            timeouts=slot.timeouts,
            cancellations=slot.cancellations,
            wait_ns=slot.wait_ns,
            execute_ns=times.ns + slot.more_ns,
            fetch_ns=slot.fetch_ns,
            latency=Latency.of(times.buckets),
            call_sites=tuple(sorted(sites, key=lambda site: -site.calls)),
            failures=tuple(sorted(slot.failures.items(), key=lambda each: -each[1])),
            accesses=(*_ignored(slot), *(self.settled.along.accesses(slot) if slot.along else ())),
            parameters=tuple(slot.samples),
        )

    def _called(self, slot: Slot, operation: str, calls: int) -> Observed:
        return Observed(
            slot.sql, self._dialect, self._paramstyle, self._database, operations=((operation, calls),)
        )

    def _accessed(self, key: AccessKey, counted: list[int]) -> Observed:
        kind, operation, site, loader, parent = key
        access = Access(kind, operation, _place(site), loader, _place(parent), *counted)
        return self._used(site.slot.sql, access)

    def _used(self, sql: str, access: Access) -> Observed:
        return Observed(sql, self._dialect, self._paramstyle, self._database, accesses=(access,))

    def _figures(self, counts: Counter[str], of_pool: Counts) -> Iterable[Figure]:
        pool = {name: count for name, count in counts.items() if _thing(name) in _OF_POOL}
        pool["checkouts"], pool["raw_checkouts"] = pool.pop("waits", 0), pool.pop("raws", 0)
        pool.pop("helds", None)
        if limit := self.pool.limit:
            pool[f"limit.{limit}"] = pool["checkouts"]
        pool |= of_pool.get(None, {})
        yield Figure.of(Pool.KIND, self.pool.name, self._database, pool)
        for name, counted in by_line(of_pool):
            yield Figure.of(Holder.KIND, name, self._database, counted)
        ended = {name: count for name, count in counts.items() if _thing(name) in _TRANSACTIONS}
        ended["errors"] = sum(ended.pop(f"{name}_errors", 0) for name in _TRANSACTIONS)
        yield Figure.of(Transactions.KIND, "", self._database, ended)


def _ignored(slot: Slot) -> Iterable[Access]:
    calls = slot.calls
    return (Access("ignored", loader=slot.ignored, operations=calls, calls=calls),) if slot.ignored else ()


def _thing(name: str) -> str:
    """What a count is of: "wait" for wait.93, wait_ns, wait_errors and waits."""
    head = name.partition(".")[0].partition("_")[0]
    return head if head in (*_OF_POOL, *_TRANSACTIONS) else head.removesuffix("s")


def _place(site: Site | None) -> CallSite | None:
    return call_site(site.code, site.lasti, 0) if site and site.code else None
