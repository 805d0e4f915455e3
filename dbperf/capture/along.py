"""Relationships that statements load along: how often, from which line, and whether anybody reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dbperf.capture.callsite import call_site
from dbperf.capture.slot import Eager, Slot
from dbperf.model.workload import Access

if TYPE_CHECKING:
    from dbperf.capture.reads import Named, Reads


class Along:
    """Those of one engine. SQLAlchemy's ORM is loaded when there is one, and so is what counts reads."""

    def __init__(self) -> None:
        self._reads: Reads | None = None
        self._first: dict[Named, tuple[str, str]] = {}
        """The SQL of the first statement that loads a relationship, and what asks for it there."""
        self._told: dict[Named, int] = {}

    def note(self, slot: Slot, found: tuple[Eager, ...]) -> None:
        """Watch what a statement loads along; what cannot be watched is never told."""
        if self._reads is None:
            from dbperf.capture.reads import Reads

            self._reads = Reads()
        slot.along = tuple(each for each in found if self._reads.watch(each.owner, each.key))
        for each in slot.along:
            self._first.setdefault((each.owner, each.key), (slot.sql, each.loader))

    def accesses(self, slot: Slot) -> Iterator[Access]:
        """What a slot loaded along, from each of its lines."""
        for each in slot.along:
            for site in slot.sites.values():
                spent = slot.ns * site.calls // max(slot.calls, 1)
                line = call_site(site.code, site.lasti, 0) if site.code else None
                yield Access(
                    "eager",
                    site=line,
                    loader=each.loader,
                    operations=site.calls,
                    calls=site.calls,
                    nanoseconds=spent,
                )

    def reads(self, *, fresh: bool) -> Iterator[tuple[str, Access]]:
        """Reads of each relationship, once, by the SQL of a statement that loads it: all, or what is new."""
        for named, (sql, loader) in self._first.copy().items():
            total = self._reads.reads(*named) if self._reads else 0
            new = total - self._told.get(named, 0) if fresh else total
            if fresh:
                self._told[named] = total
            if new:
                yield sql, Access("eager", loader=loader, reads=new)

    def forget(self) -> None:
        """What was read so far was of another process."""
        self._told.clear()
        if self._reads is not None:
            self._reads.forget()

    def close(self) -> None:
        """Watch no more."""
        if self._reads is not None:
            self._reads.close()
