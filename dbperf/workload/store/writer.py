"""What a process saw, written into a store again and again: nothing is lost, and nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, select, update

from dbperf.model.workload import Observed, Statement, Unseen, Writer
from dbperf.workload.store import tables
from dbperf.workload.store.connect import make_history, open_engine, place_of, telling, transaction
from dbperf.workload.store.counts import Counts, counts_of, from_row, statement_id, storable, to_row
from dbperf.workload.store.describe import describe, keep_samples
from dbperf.workload.store.rows import insert, put
from dbperf.workload.store.schema import check, create

_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """Counts by statement, and what was not kept, by column of the writer's row."""

    counts: Mapping[int, Counts] = field(default_factory=dict)
    unseen: Counter[str] = field(default_factory=Counter)

    def plus(self, other: _Seen) -> _Seen:
        counts = {**self.counts}
        for key, each in other.counts.items():
            counts[key] = counts[key].plus(each) if key in counts else each
        return _Seen(counts, self.unseen + other.unseen)

    def minus(self, other: _Seen) -> _Seen:
        left = {key: each.minus(other.counts.get(key, Counts())) for key, each in self.counts.items()}
        counts = {key: each for key, each in left.items() if any(each.numbers.values())}
        return _Seen(counts, self.unseen - other.unseen)


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows of this process that the store has since its write of this number, in the window that `starts`."""

    number: int = -1
    starts: int = 0
    counts: Mapping[int, Counts] = field(default_factory=dict)

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

    def write(self, at: float, observed: Sequence[Observed], unseen: Unseen) -> None:
        """Add what was seen since the last write that ended well, in the minute of `at`, seconds since 1970.

        All or nothing: when it raises, StoreError, the same is to be offered again, together with what came
        since. In a PostgreSQL store its server's clock counts: that of a host may be wrong.
        """
        from dbperf.workload.fold import fold

        statements = {statement_id(each): each for each in fold(observed).statements}
        seen = _Seen({key: counts_of(each) for key, each in statements.items()}, Counter(asdict(unseen)))
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
            seen = seen.minus(self._done) if self._done else seen
            self._tried = number + 1, seen
            window = (
                self._window if self._window.holds(number, now) else _Window(number, tables.minute_of(now))
            )
            after = _add(connection, self._writer, seen, statements, window, now)
            if self._private:
                keep_samples(connection, list(statements.values()), now)
        self._tried = self._done = None
        self._window = _Window(number + 1, window.starts, {**window.counts, **after})

    def close(self) -> None:
        """Give the connection back; a later write opens another."""
        self._engine.dispose()


def _introduced(connection: Connection, writer: Writer, now: float) -> int:
    """How often a process wrote; locks its row, so that a commit still on its way is waited for."""
    row = insert(connection, tables.writer).values(
        id=writer.id,
        host=storable(writer.host),
        pid=writer.pid,
        started=int(writer.started),
        seen=int(now),
        flushes=0,
        **asdict(Unseen()),
    )
    row = row.on_conflict_do_update(index_elements=["id"], set_={"seen": row.excluded.seen})
    number: int = connection.execute(row.returning(tables.writer.c.flushes)).scalar_one()
    if not number:
        make_history(connection)
    return number


def _add(
    connection: Connection,
    writer: Writer,
    seen: _Seen,
    statements: Mapping[int, Statement],
    window: _Window,
    now: float,
) -> dict[int, Counts]:
    """Write a process's rows and its number; the counts they have then, by statement."""
    mine = {"starts": window.starts, "writer_id": writer.id}
    before = {key: window.counts[key] for key in seen.counts.keys() & window.counts.keys()}
    before |= _own_counts(connection, mine, list(seen.counts.keys() - before.keys()))
    after = {key: before[key].plus(each) if key in before else each for key, each in seen.counts.items()}
    put(connection, tables.minute, [{"statement_id": key, **mine, **to_row(after[key])} for key in after])
    columns = tables.writer.c
    more = {columns[name]: columns[name] + count for name, count in seen.unseen.items()}
    own = update(tables.writer).where(columns.id == writer.id)
    connection.execute(own.values({columns.flushes: columns.flushes + 1, **more}))
    # Last: who tells of the same statements at the same time waits until this is committed.
    describe(connection, [statements[key] for key in seen.counts if _news(key, seen, before)], now)
    return after


def _own_counts(connection: Connection, mine: Mapping[str, int], keys: Sequence[int]) -> dict[int, Counts]:
    if not keys:
        return {}
    columns = tables.minute.c
    query = select(tables.minute).where(
        columns.statement_id.in_(keys), *(columns[name] == value for name, value in mine.items())
    )
    return {row.statement_id: from_row(row) for row in connection.execute(query)}


def _news(key: int, seen: _Seen, before: Mapping[int, Counts]) -> bool:
    """Whether a statement, or a line that runs it, is new in this window and may be so in the store."""
    return key not in before or not seen.counts[key].sites.keys() <= before[key].sites.keys()
