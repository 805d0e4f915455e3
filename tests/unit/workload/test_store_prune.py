"""Rolling up and merging change how a store is kept and not what it says, in whatever order they happen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbperf.errors import StoreError
from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure, together
from dbperf.model.workload import Access, CallSite, Observed, Seen, Unseen, Workload, Writer
from dbperf.workload.file import save
from dbperf.workload.fold import fold
from dbperf.workload.spool import Spool, read_spools
from dbperf.workload.store.info import info
from dbperf.workload.store.merge import merge
from dbperf.workload.store.prune import Pruned, Retention, prune
from dbperf.workload.store.read import read
from dbperf.workload.store.recording import write_recording
from dbperf.workload.store.writer import StoreWriter

DAY = 86400
NOW = 20_000.0 * DAY + 12 * 3600  # noon
NONE = Unseen()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def writer(file: Path, number: int = 1, **options: Any) -> StoreWriter:
    return StoreWriter(str(file), Writer(number, f"host {number}", number, NOW), **options)


def observed(number: int = 0, calls: int = 1, **values: Any) -> Observed:
    latency = Latency(((40 + number, calls),))
    sites = (CallSite("/srv/a.py", number, "f", calls),)
    counts = {"calls": calls, "parameter_sets": calls, "rows": 2 * calls, "errors": number}
    times = {"execute_ns": 500_000_000 * calls, "fetch_ns": 250_000_000 * calls, "latency": latency}
    loop = Access(
        "loop", f"GET /{number}", CallSite("/srv/a.py", number, "f", 0), "", None, calls, calls, 9 * calls
    )
    names = {"operations": ((f"GET /{number}", calls),), "failures": (("QueryCanceled", calls),)}
    given = {**counts, **times, **names, "accesses": (loop,), "call_sites": sites, **values}
    return Observed(f"SELECT * FROM t{number} WHERE a = ?", "sqlite", "qmark", "/shop", **given)


def figure(name: str = "GET /a", calls: int = 1) -> Figure:
    counts = {"calls": calls, "whole_ns": 10**9 * calls, "whole.230": calls, "marker half way": calls}
    return Figure.of("operation", name, "", counts)


def seen_of(observed: Iterable[Observed], unseen: Unseen = NONE, *figures: Figure) -> Seen:
    return Seen(tuple(observed), figures, unseen)


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


def test_minutes_become_hours_become_days_and_expire(file: Path) -> None:
    for number in (1, 2):
        for age in (0, 60, 3600, 3 * 3600, 3 * 3600 - 60, 3 * DAY, 3 * DAY + 3600, 100 * DAY):
            writer(file, number).write(NOW - age, seen_of([observed()], Unseen(1), figure()))
    assert prune(file, now=NOW) == Pruned(minutes=20, hours=6, days=2, statements=0)
    assert rows(file, "select starts, writer_id, calls from minute order by 1, 2") == [
        (NOW - age, number, 1) for age in (3600, 60, 0) for number in (1, 2)
    ]
    assert rows(file, "select starts, calls, latency from hour") == [(NOW - 3 * 3600, 4, "14:4")]
    assert rows(file, "select starts, calls, latency from day") == [(NOW - 3 * DAY - 12 * 3600, 4, "14:4")]
    whole = "calls*4 marker%20half%20way*4 whole.230*4 whole_ns*4000000000"
    for window, at in (("hour", NOW - 3 * 3600), ("day", NOW - 3 * DAY - 12 * 3600)):
        assert rows(file, f"select starts, counts from figure_{window}") == [(at, whole)]
    assert prune(file, now=NOW) == Pruned(0, 0, 0, 0)
    assert read(file).figures == (figure(calls=14),)


WRITES = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 6 * DAY),
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=3),
    ),
    max_size=6,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(WRITES, min_size=1, max_size=2), data=st.data())
def test_pruning_keeps_every_sum(file: Path, batches: list[Any], data: st.DataObject) -> None:
    """Also when windows are written into that were rolled up before, and at times of any order."""
    file.unlink(missing_ok=True)
    writer(file).write(NOW, seen_of([]))
    everything: list[Observed] = []
    everything_else: list[Figure] = []
    for writes in batches:
        for number, age, seen in writes:
            new = [observed(table, calls) for table, calls in seen]
            everything += new
            names = [f"GET /{table}" for table, _ in seen]
            everything_else += [figure(name) for name in names]
            figures = together(map(figure, names))
            writer(file, number).write(NOW - age, seen_of(new, Unseen(1), *figures))
        kept = Retention(data.draw(st.integers(1, DAY)), data.draw(st.integers(1, 3 * DAY)), 90 * DAY)
        prune(file, kept, now=NOW)
        whole = read(file)
        assert sorted(whole.statements, key=repr) == sorted(fold(everything).statements, key=repr)
        assert whole.figures == together(everything_else)
        prune(file, kept, now=NOW)
        assert read(file) == whole


def test_what_nobody_ran_for_long_is_forgotten(file: Path) -> None:
    private, old = writer(file, 1, private=True), [observed(0, parameters=((1,),)), observed(1)]
    private.write(NOW - 100 * DAY, seen_of(old, Unseen(2, 3, 4), figure("old"), figure()))
    writer(file, 2).write(NOW, seen_of([observed(1)], Unseen(10), figure()))
    done = prune(file, now=NOW)
    assert (done.days, done.statements) == (4, 1)
    assert read(file) == fold([observed(1)], Unseen(12, 3, 4), [figure()])
    assert rows(file, "select name from figure") == [("GET /a",)]
    labels = rows(file, "select kind, body from label order by 1, 2")
    loop = '["loop","GET /1",["/srv/a.py",1,"f"],"",null]'
    assert labels == [("access", loop), ("failure", "QueryCanceled"), ("operation", "GET /1")]
    assert rows(file, "select count(*) from sample") == [(0,)]
    assert rows(file, "select line from site") == [(1,)]
    assert rows(file, "select host from writer order by 1") == [("",), ("host 2",)]
    prune(file, now=NOW + 200 * DAY)
    assert read(file) == Workload(coverage=Unseen(12, 3, 4))
    assert rows(file, "select count(*) from label") == rows(file, "select count(*) from figure") == [(0,)]


def test_samples_are_pruned_to_the_newest(file: Path) -> None:
    for number in range(20):
        seen = [observed(parameters=((number,),))]
        writer(file, private=True).write(NOW + number, seen_of(seen))
    before = read(file)
    prune(file, now=NOW)
    assert rows(file, "select count(*) from sample") == [(8,)]
    assert read(file) == before


def test_a_file_shrinks_when_much_was_dropped(file: Path) -> None:
    sink = writer(file)
    for minute in range(30):
        sink.write(NOW - 100 * DAY + 60 * minute, seen_of([observed(number) for number in range(60)]))
    before = file.stat().st_size
    prune(file, now=NOW)
    assert file.stat().st_size < before / 2
    sink.write(NOW, seen_of([observed()]))
    assert read(file) == fold([observed()])


def test_merging_twice_is_harmless_and_adds_what_is_new(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    sink = writer(other, 1, private=True)
    writer(file, 2).write(NOW, seen_of([observed(0, 3)], Unseen(1)))
    expected = [observed(0, 3)]
    for number in range(3):
        sink.write(NOW + 40 * number, seen_of([observed(number, 2)], Unseen(10), figure(calls=number + 1)))
        expected.append(observed(number, 2))
        done = figure(calls=sum(range(number + 2)))
        for _ in range(2):
            merge(file, other)
            assert sorted(read(file).statements, key=repr) == sorted(fold(expected).statements, key=repr)
        assert read(file).coverage == Unseen(1 + 10 * (number + 1))
        assert read(file).figures == (done,)
    assert (info(file).calls, info(file).operations) == (9, 1)


def test_merging_again_adds_what_came_after_the_calls(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    sink, accesses = writer(other), observed().accesses
    sink.write(NOW, seen_of([observed(accesses=())]))
    merge(file, other)
    sink.write(NOW, seen_of([Observed(observed().sql, "sqlite", "qmark", "/shop", accesses=accesses)]))
    merge(file, other)
    merge(file, other)
    assert read(file) == read(other) == fold([observed()])


def test_merging_what_was_pruned_since_is_refused(file: Path, tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.sqlite" for name in ("one", "two", "three"))
    writer(one, 1).write(NOW - 5 * DAY, seen_of([observed(calls=2)]))
    writer(two, 2).write(NOW - 5 * DAY, seen_of([observed(calls=3)]))
    merge(file, one)
    merge(three, one)
    prune(one, now=NOW)
    prune(two, now=NOW)  # before it went in, which is fine
    merge(file, two)
    merge(file, two)
    merge(three, two)
    before = read(file)
    for source, into in ((one, file), (file, one)):
        with pytest.raises(StoreError, match=r"pruned since: merged again, its calls would count twice$"):
            merge(into, source)
    prune(three, now=NOW)
    with pytest.raises(StoreError, match=r"count twice"):  # what is in it came here by another way
        merge(file, three)
    assert read(file) == before == fold([observed(calls=2), observed(calls=3)])


def test_a_store_is_not_merged_into_itself_or_a_copy(file: Path, tmp_path: Path) -> None:
    writer(file).write(NOW, seen_of([observed()]))
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(file.read_bytes())
    for source in (file, copy):
        with pytest.raises(StoreError, match=r"is .* itself, or a copy of it$"):
            merge(file, source)


def spooled(folder: Path, number: int, batches: list[tuple[float, list[Observed]]]) -> None:
    sink = Spool(str(folder), Writer(number, "host", number, NOW), parameters=True)
    for at, seen in batches:
        sink.write(at, seen_of(seen, Unseen(1), figure()))
    sink.close()


def test_a_recording_keeps_minutes_and_processes(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "spools"
    folder.mkdir()
    spooled(folder, 1, [(NOW, [observed()]), (NOW + 70, [observed(1)]), (NOW + 5, [observed(calls=2)])])
    spooled(folder, 2, [(NOW, [observed(1, parameters=((7,),))])])
    done = write_recording(file, read_spools(folder, []), private=True)
    assert (done.calls, done.statements, done.processes, done.torn) == (5, 2, 2, 0)
    assert done.unseen == Unseen(4)
    assert rows(file, "select writer_id, starts, calls from minute order by 1, 2") == [
        (1, NOW, 3),
        (1, NOW + 60, 1),
        (2, NOW, 1),
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    seen = [observed(calls=3), observed(1), observed(1, parameters=((7,),))]
    assert read(file) == fold(seen, Unseen(4), [figure(calls=4)])
    assert rows(file, "select count(*) from figure_minute") == [(3,)]
    save(Workload(), file)  # it is a recording, so the next one may take its place


def test_a_folder_that_record_left_behind_is_merged_once(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "spools"
    folder.mkdir()
    (folder / "garbage.spool").write_bytes(b"\0garbage\n")
    spooled(folder, 1, [(NOW, [observed()]), (NOW + 70, [observed(1)])])
    for _ in range(2):
        done = merge(file, folder)
        assert (done.calls, done.statements, done.torn) == (2, 2, 0)
        assert [path.name for path in done.skipped] == ["garbage.spool"]
        assert read(file) == fold([observed(), observed(1)], Unseen(2), [figure(calls=2)])
    prune(file, now=NOW + 5 * DAY)
    with pytest.raises(StoreError, match="count twice"):
        merge(file, folder)


def test_a_folder_without_spools(file: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r": no spool of dbperf record in this folder$"):
        merge(file, tmp_path)
    assert not file.exists()
