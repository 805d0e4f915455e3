"""What a process saw, written into a store again and again: nothing is lost, and nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, select, update

from dbperf.model.workload import Seen, Unseen, Workload, Writer
from dbperf.workload.store import tables
from dbperf.workload.store.connect import make_history, open_engine, place_of, telling, transaction
from dbperf.workload.store.counts import Counts, Key, counts_by_id, from_row, storable
from dbperf.workload.store.describe import describe, keep_samples
from dbperf.workload.store.rows import insert
from dbperf.workload.store.schema import check, create
from dbperf.workload.store.tables import FAMILIES
from dbperf.workload.store.windows import put_counts

_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """Counts by what they are of, and what was not kept, by column of the writer's row."""

    counts: Mapping[Key, Counts] = field(default_factory=dict)
    unseen: Counter[str] = field(default_factory=Counter)

    def plus(self, other: _Seen) -> _Seen:
        return _Seen(_plus(self.counts, other.counts), self.unseen + other.unseen)

    def minus(self, other: _Seen) -> _Seen:
        left = {key: each.minus(other.counts.get(key, Counts())) for key, each in self.counts.items()}
        return _Seen({key: each for key, each in left.items() if each.counted}, self.unseen - other.unseen)


def _plus(counts: Mapping[Key, Counts], more: Mapping[Key, Counts]) -> dict[Key, Counts]:
    return {
        **counts,
        **{key: counts[key].plus(each) if key in counts else each for key, each in more.items()},
    }


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows of this process that the store has since its write of this number, in the window that `starts`."""

    number: int = -1
    starts: int = 0
    counts: Mapping[Key, Counts] = field(default_factory=dict)

    def holds(self, number: int, now: float) -> bool:
        return (number, tables.minute_of(now)) == (self.number, self.starts)


class StoreWriter:
    """Where a process's flusher writes.

    The rows of a process are its own and hold absolute counts, so no writer waits for another. Each write
    leaves its number in the process's own row: that is how a commit whose answer was lost is known to have
    been done, and is not done again.
    """

    def __init__(self, where: str, writer: Writer, *, private: bool = False) -> None:
        self._place = place_of(where)
        self._engine = open_engine(self._place, "write", private=private, keep=True)
        self._writer = writer
        self._private = private
        self._tried: tuple[int, _Seen] | None = None
        self._done: _Seen | None = None
        """What of the offered is in the store already, by a write that looked as if it had failed."""
        self._window = _Window()

    def write(self, at: float, seen: Seen) -> None:
        """Add what was seen since the last write that ended well, in the minute of `at`, seconds since 1970.

        All or nothing: when it raises, StoreError, the same is to be offered again, together with what came
        since. In a PostgreSQL store its server's clock counts: that of a host may be wrong.
        """
        from dbperf.workload.fold import fold

        workload = fold(seen.observed, seen.unseen, seen.figures)
        new = _Seen(counts_by_id(workload), Counter(asdict(seen.unseen)))
        with (
            telling(self._place),
            self._engine.connect() as connection,
            transaction(connection, patience=_PATIENCE),
        ):
            if self._place.file:
                create(connection)
            now = check(connection, self._place).clock or at
            number = _introduced(connection, self._writer, now)
            if self._tried and self._tried[0] == number:
                self._done = self._done.plus(self._tried[1]) if self._done else self._tried[1]
            new = new.minus(self._done) if self._done else new
            self._tried = number + 1, new
            window = (
                self._window if self._window.holds(number, now) else _Window(number, tables.minute_of(now))
            )
            after = _add(connection, self._writer, new, workload, window, now)
            if self._private:
                keep_samples(connection, workload.statements, now)
        self._tried = self._done = None
        self._window = _Window(number + 1, window.starts, {**window.counts, **after})

    def close(self) -> None:
        """Give the connection back; a later write opens another."""
        self._engine.dispose()


def _introduced(connection: Connection, writer: Writer, now: float) -> int:
    """How often a process wrote; locks its row, so that a commit still on its way is waited for."""
    row = {
        "id": writer.id,
        "host": storable(writer.host),
        "pid": writer.pid,
        "started": int(writer.started),
        "seen": int(now),
        "flushes": 0,
        **asdict(Unseen()),
    }
    number: int = connection.execute(_introduction(connection.dialect.name), row).scalar_one()
    if not number:
        make_history(connection)
    return number


@cache  # the same one every second, and it takes long to make one
def _introduction(dialect: str) -> Any:
    row = insert(dialect, tables.writer)
    row = row.on_conflict_do_update(index_elements=["id"], set_={"seen": row.excluded.seen})
    return row.returning(tables.writer.c.flushes)


def _add(
    connection: Connection, writer: Writer, new: _Seen, workload: Workload, window: _Window, now: float
) -> dict[Key, Counts]:
    """Write a process's rows and its number; the counts they have then."""
    mine = {"starts": window.starts, "writer_id": writer.id}
    before = {key: window.counts[key] for key in new.counts.keys() & window.counts.keys()}
    before |= _own_counts(connection, mine, new.counts.keys() - before.keys())
    after = {key: before[key].plus(each) if key in before else each for key, each in new.counts.items()}
    put_counts(connection, {(*key, window.starts): each for key, each in after.items()}, writer.id)
    columns = tables.writer.c
    more = {columns[name]: columns[name] + count for name, count in new.unseen.items() if count}
    own = update(tables.writer).where(columns.id == writer.id)
    connection.execute(own.values({columns.flushes: columns.flushes + 1, **more}))
    # Last: who tells of the same statements at the same time waits until this is committed.
    describe(connection, workload, now, {key for key in new.counts if _is_news(key, new, before)})
    return after


def _own_counts(connection: Connection, mine: Mapping[str, int], keys: Set[Key]) -> dict[Key, Counts]:
    counts: dict[Key, Counts] = {}
    for family in FAMILIES:
        ids = [key for each, key in keys if each is family]
        window = family.windows[0]
        own = [window.c[name] == value for name, value in mine.items()]
        query = select(window).where(window.c[family.key].in_(ids), *own)
        for row in connection.execute(query) if ids else ():
            counts[family, getattr(row, family.key)] = from_row(row, family)
    return counts


def _is_news(key: Key, new: _Seen, before: Mapping[Key, Counts]) -> bool:
    """Whether something, or a line that runs it, is new in this window and may be so in the store."""
    return key not in before or not new.counts[key].names_nothing_beyond(before[key])
