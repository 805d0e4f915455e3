"""The spools of processes that were recorded, as rows of a store."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from dbperf.model.workload import Unseen
from dbperf.workload.file import new_file
from dbperf.workload.fold import fold
from dbperf.workload.spool import Spooled
from dbperf.workload.store import tables
from dbperf.workload.store.counts import Counts, counts_of, statement_id, storable, to_row
from dbperf.workload.store.describe import describe, keep_samples
from dbperf.workload.store.rows import put


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is in a recording; `torn` lines of spools could not be read."""

    calls: int
    statements: int
    processes: int
    torn: int
    unseen: Unseen


def write_recording(path: str | os.PathLike[str], spooled: Iterable[Spooled], *, private: bool) -> Recorded:
    """Write spools to a new workload file, which replaces an earlier one when it is whole.

    Each process keeps its rows and each minute its window. `private`: they may hold parameters, so only the
    owner may read the file. Raises InputError as `dbperf.workload.file.save` does.
    """
    with new_file(path, private=private) as connection:
        return add_spooled(connection, spooled)


def add_spooled(connection: Connection, spooled: Iterable[Spooled]) -> Recorded:
    """Add what processes spooled. Adding the same again changes nothing."""
    calls = processes = torn = 0
    unseen, statements = Unseen(), set[int]()
    for each in spooled:
        counts, overlooked = _add(connection, each)
        calls += sum(one.numbers["calls"] for one in counts.values())
        statements.update(key for key, _ in counts)
        unseen += overlooked
        processes += 1
        torn += each.torn
    return Recorded(calls, len(statements), processes, torn, unseen)


def _add(connection: Connection, spooled: Spooled) -> tuple[dict[tuple[int, int], Counts], Unseen]:
    """The counts of a process, by statement and window, and what it did not keep."""
    counts: defaultdict[tuple[int, int], Counts] = defaultdict(Counts)
    unseen, told, seen = Unseen(), dict[int, set[int]](), spooled.writer.started
    for batch in spooled.batches:
        unseen += batch.unseen
        seen = max(seen, batch.at)
        statements, starts = fold(batch.observed).statements, tables.minute_of(batch.at)
        keep_samples(connection, statements, batch.at)
        for each in statements:
            key, new = statement_id(each), counts_of(each)
            counts[key, starts] = counts[key, starts].plus(new)
            if key not in told or not new.sites.keys() <= told[key]:
                describe(connection, [each], batch.at)
                told[key] = told.get(key, set()) | new.sites.keys()
    own = {"writer_id": spooled.writer.id}
    rows = [{"statement_id": key, "starts": at, **own, **to_row(each)} for (key, at), each in counts.items()]
    put(connection, tables.minute, rows, newer="calls")
    process = asdict(spooled.writer) | {"host": storable(spooled.writer.host), "seen": int(seen)}
    process |= {"started": int(spooled.writer.started), "flushes": spooled.flushes, **asdict(unseen)}
    put(connection, tables.writer, [process], newer="flushes")
    put(connection, tables.merged, [{"source_id": spooled.writer.id, "at": int(time.time() * 1e6)}])
    return dict(counts), unseen
