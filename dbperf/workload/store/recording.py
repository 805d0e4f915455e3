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
from dbperf.workload.store.counts import Counts, Key, counts_by_id, storable
from dbperf.workload.store.describe import describe, keep_samples
from dbperf.workload.store.rows import put
from dbperf.workload.store.tables import STATEMENTS
from dbperf.workload.store.windows import WindowKey, put_counts


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
        of_statements = {key: one for key, one in counts.items() if key[0] is STATEMENTS}
        calls += sum(one.numbers["calls"] for one in of_statements.values())
        statements.update(key for _, key, _ in of_statements)
        unseen += overlooked
        processes += 1
        torn += each.torn
    return Recorded(calls, len(statements), processes, torn, unseen)


def _add(connection: Connection, spooled: Spooled) -> tuple[dict[WindowKey, Counts], Unseen]:
    """The counts of a process, and what it did not keep."""
    counts: defaultdict[WindowKey, Counts] = defaultdict(Counts)
    told: dict[Key, Counts] = {}
    unseen, seen = Unseen(), spooled.writer.started
    for batch in spooled.batches:
        unseen += batch.seen.unseen
        seen = max(seen, batch.at)
        workload = fold(batch.seen.observed, figures=batch.seen.figures)
        keep_samples(connection, workload.statements, batch.at)
        new = counts_by_id(workload)
        news = {
            key for key, each in new.items() if key not in told or not each.names_nothing_beyond(told[key])
        }
        describe(connection, workload, batch.at, news)
        told |= {key: told[key].plus(new[key]) if key in told else new[key] for key in news}
        for key, each in new.items():
            where = (*key, tables.minute_of(batch.at))
            counts[where] = counts[where].plus(each)
    put_counts(connection, counts, spooled.writer.id, newer="counted")
    process = asdict(spooled.writer) | {"host": storable(spooled.writer.host), "seen": int(seen)}
    process |= {"started": int(spooled.writer.started), "flushes": spooled.flushes, **asdict(unseen)}
    put(connection, tables.writer, [process], newer="flushes")
    put(connection, tables.merged, [{"source_id": spooled.writer.id, "at": int(time.time() * 1e6)}])
    return dict(counts), unseen
