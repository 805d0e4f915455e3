"""What processes write into a store is there once: after failures, clocks gone wrong, files gone."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from dbperf.errors import InputError, StoreError
from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Observed, Sample, Seen, Unseen, Workload, Writer
from dbperf.workload.file import load, save
from dbperf.workload.fold import fold
from dbperf.workload.store import connect
from dbperf.workload.store.read import read
from dbperf.workload.store.writer import StoreWriter

NOW = 1_800_000_000.0
NONE = Unseen()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def writer(file: Path, number: int = 1, **options: Any) -> StoreWriter:
    return StoreWriter(str(file), Writer(number, "host", 100 + number, NOW), **options)


def again(calls: int) -> Access:
    line = CallSite("/srv/a.py", 7, "f", 0)
    return Access("lazy", "GET /a", line, "selectinload(A.bs)", line, calls, 3 * calls, 10 * calls, calls)


def observed(table: str = "t", calls: int = 1, **values: Any) -> Observed:
    given: dict[str, Any] = {
        "parameter_sets": calls,
        "rows": 2 * calls,
        "unread_rows": calls,
        "timeouts": calls,
        "wait_ns": 1_000_000 * calls,
        "execute_ns": 500_000_000 * calls,
        "fetch_ns": 250_000_000 * calls,
        "failures": (("QueryCanceled", calls),),
        "operations": (("GET /a", calls),),
        "accesses": (again(calls),),
        "latency": Latency(((40, calls),)),
        "call_sites": (CallSite("/srv/a.py", 7, "f", calls),),
    }
    sql = f"SELECT * FROM {table} WHERE a = %(a)s"
    return Observed(sql, "postgresql", "pyformat", "db/5432/shop", calls, **given | values)


def figure(name: str = "GET /a", calls: int = 1) -> Figure:
    counts = {"calls": calls, "whole_ns": 10**9 * calls, "whole.230": calls, "marker half way": calls}
    return Figure.of("operation", name, "", counts)


def seen_of(observed: Iterable[Observed], unseen: Unseen = NONE, *figures: Figure) -> Seen:
    return Seen(tuple(observed), figures, unseen)


def calls(file: Path, since: float | None = None, until: float | None = None) -> int:
    return sum(each.calls for each in read(file, since, until).statements)


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def test_what_was_written_is_what_was_folded(file: Path) -> None:
    first = [observed(calls=2, errors=1, cancellations=1), observed("u", 6)]
    second = [observed(calls=3, call_sites=(CallSite("/srv/b.py", 8, "g", 3),))]
    sink = writer(file)
    pool = Figure(
        "pool", "AdaptivePool", "db/5432/shop", (("allowed.9", 250), ("checkouts", 5), ("wait.93", 1))
    )
    held = Figure("held", "/srv/a.py:7 f", "db/5432/shop", (("leaks", 1),))
    sink.write(NOW, seen_of(first, Unseen(1, 2, 3, 4, 5, 6, 7, 8), figure(), pool, held))
    sink.write(NOW + 1, seen_of(second, Unseen(10), figure(calls=2), figure("GET /b")))
    figures = [figure(calls=3), figure("GET /b"), pool, held]
    assert read(file) == fold([*first, *second], Unseen(11, 2, 3, 4, 5, 6, 7, 8), figures)
    assert len(rows(file, "select * from minute")) == 2
    assert rows(file, "select counts from figure_minute where counts like 'calls*3 %'") == [
        ("calls*3 marker%20half%20way*3 whole.230*3 whole_ns*3000000000",)
    ]
    assert read(file, since=NOW + 60) == Workload(coverage=Unseen(11, 2, 3, 4, 5, 6, 7, 8))


def test_what_comes_after_its_call_is_added_to_it(file: Path) -> None:
    """A fetch ends, and an operation, when the execution may have been written already."""
    sink = writer(file)
    sink.write(NOW, seen_of([observed(accesses=())]))
    sql = observed().sql
    late = Observed(sql, "postgresql", "pyformat", "db/5432/shop", fetch_ns=10**9, unread_rows=5)
    last = Observed(sql, "postgresql", "pyformat", "db/5432/shop", accesses=(again(3),))
    for each in (late, last):
        sink.write(NOW + 1, seen_of([each]))
    (statement,) = read(file).statements
    assert (statement.calls, statement.fetch_seconds, statement.unread_rows) == (1, 1.25, 6)
    assert statement.accesses == (again(3),)


def test_processes_and_minutes_have_rows_of_their_own(file: Path) -> None:
    for number in (1, 2):
        sink = writer(file, number)
        for minute in range(3):
            sink.write(NOW + 60 * minute, seen_of([observed()]))
    assert rows(file, "select writer_id, starts, calls from minute order by 1, 2") == [
        (number, NOW + 60 * minute, 1) for number in (1, 2) for minute in range(3)
    ]
    assert calls(file) == 6
    assert calls(file, since=NOW + 60) == 4
    assert calls(file, since=NOW + 119, until=NOW + 120) == 2
    assert calls(file, until=NOW) == 0


def test_only_the_slowest_of_each_database_have_details_where_few_will_do(file: Path) -> None:
    here = [observed("t", 3), observed("u", 2), observed("v", 1)]
    there = [replace(observed("w", 1), database="elsewhere")]
    writer(file).write(NOW, seen_of([*here, *there], NONE, figure()))
    whole, brief = read(file), read(file, detailed=1)
    assert read(file, detailed=3) == whole
    assert [each.calls for each in brief.statements] == [each.calls for each in whole.statements]
    kept = [each for each in brief.statements if each.latency.count and each.call_sites]
    assert kept == [each for each in brief.statements if each.operations and each.accesses and each.failures]
    assert brief.figures == whole.figures
    assert kept == [each for each in whole.statements if " t " in each.sql or each.database == "elsewhere"]


def test_a_store_that_is_locked_keeps_what_it_has_and_gets_the_rest_later(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_PATIENCE", 0.05)
    sink = writer(file)
    sink.write(NOW, seen_of([observed()]))
    with locked(file):
        for _ in range(2):
            with pytest.raises(StoreError, match=r"locked by another process: try again$"):
                sink.write(NOW, seen_of([observed()]))
    sink.write(NOW + 3, seen_of([observed(calls=3)], Unseen(flush_failures=2)))
    assert calls(file) == 4
    assert read(file).coverage == Unseen(flush_failures=2)


@pytest.mark.parametrize("later", [1, 61, 3 * 3600])
def test_a_commit_whose_answer_was_lost_counts_once(file: Path, later: int) -> None:
    """The same is offered again, with what came since, in the same minute or hours later."""
    sink = writer(file)
    sink.write(NOW, seen_of([observed()], NONE, figure()))
    lost = True

    @event.listens_for(sink._engine, "commit")
    def commit(connection: Any) -> None:
        if lost:
            connection.connection.dbapi_connection.commit()
            raise OSError(104, "Connection reset by peer")

    offered = [observed(calls=10), observed("u", 1)]
    with pytest.raises(StoreError, match="Connection reset by peer"):
        sink.write(NOW + 1, seen_of(offered, Unseen(folded_calls=4), figure(calls=10), figure("GET /b")))
    offered = [observed(calls=20), observed("u", 1), observed("v", 5)]
    unseen, figures = Unseen(folded_calls=4, flush_failures=1), [figure(calls=20), figure("GET /b")]
    with pytest.raises(StoreError, match="Connection reset by peer"):
        sink.write(NOW + 1 + later, seen_of(offered, unseen, *figures))
    lost = False
    offered = [observed(calls=21), observed("u", 1), observed("v", 5)]
    unseen, figures = Unseen(folded_calls=5, flush_failures=2), [figure(calls=21), figure("GET /b")]
    sink.write(NOW + 2 + later, seen_of(offered, unseen, *figures))
    expected = [observed(calls=22), observed("u", 1), observed("v", 5)]
    assert read(file) == fold(expected, unseen, [figure(calls=22), figure("GET /b")])
    sink.write(NOW + 3 + later, seen_of([observed()]))
    assert calls(file) == 29


def test_a_clock_that_goes_backwards_continues_the_earlier_window(file: Path) -> None:
    sink = writer(file)
    for at in (NOW, NOW + 60, NOW, NOW - 86400, NOW + 60, NOW):
        sink.write(at, seen_of([observed()]))
    assert rows(file, "select starts, calls from minute order by 1") == [
        (NOW - 86400, 1),
        (NOW, 3),
        (NOW + 60, 2),
    ]


def test_a_store_that_is_removed_is_made_again(file: Path) -> None:
    sink = writer(file)
    sink.write(NOW, seen_of([observed(calls=5)]))
    file.unlink()
    sink.write(NOW + 1, seen_of([observed()]))
    assert read(file) == fold([observed()])


def test_a_store_that_is_exchanged_is_written_from_then_on(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    writer(other, 2).write(NOW, seen_of([observed("u", 3)]))
    sink = writer(file)
    sink.write(NOW, seen_of([observed(calls=5)]))
    os.replace(other, file)
    sink.write(NOW + 1, seen_of([observed()]))
    assert read(file) == fold([observed("u", 3), observed()])


def test_the_folder_may_change_under_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = writer(Path("store.sqlite"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.write(NOW, seen_of([observed()]))
    assert calls(tmp_path / "store.sqlite") == 1


def test_parameters_are_kept_only_where_they_may_be(file: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        seen = [observed(parameters=({"a": number},)) for number in range(12)]
        writer(file).write(NOW, seen_of(seen[:1]))
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert read(file).statements[0].samples == ()
        private = writer(file, 2, private=True)
        for number, each in enumerate(seen):
            private.write(NOW + number, seen_of([each]))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        writer(tmp_path / "new", private=True).write(NOW, seen_of(seen))
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    finally:
        os.umask(before)
    (statement,) = read(file).statements
    sql = "SELECT * FROM t WHERE a = $1"
    assert statement.samples == tuple(Sample(sql, (number,)) for number in range(4, 12))


def test_text_that_has_no_utf_8_or_ends_early(file: Path) -> None:
    sink = writer(file)
    site = CallSite("/srv/\ud800.py", 1, "f", 1)
    sink.write(
        NOW,
        seen_of(
            [observed("\ud800 /*\0*/", call_sites=(site,), operations=(("GET /\ud800\0", 1),))],
            NONE,
            figure("\ud800\0"),
        ),
    )
    (statement,) = read(file).statements
    assert "\\ud800" in statement.sql
    assert statement.operations == (("GET /\\ud800\\x00", 1),)
    assert read(file).figures == (figure("\\ud800\\x00"),)
    assert statement.call_sites == (CallSite("/srv/\\ud800.py", 1, "f", 1),)


def test_a_history_is_not_replaced_and_a_recording_that_is_written_into_becomes_one(file: Path) -> None:
    save(fold([observed()]), file)
    save(fold([observed(calls=2)]), file)
    writer(file).write(NOW, seen_of([observed()]))
    with pytest.raises(InputError, match=r"holds a history.*dbperf store merge FILE --into") as caught:
        save(Workload(), file)
    assert "\n" not in str(caught.value)
    assert load(file) == fold([observed(calls=3)])


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (
            "mysql://root:hunter2@db/app",
            "store: mysql:// is not supported; give a file or a postgresql:// URL",
        ),
        ("postgresql://a:hunter2@[::1/x", "store: not a database URL; give a file or a postgresql:// URL"),
        ("postgresql://app:hunter2@localhost:1/app", "localhost/1/app: connection to server at "),
        ("postgres://app:hunter2@localhost:1/app", "localhost/1/app: connection to server at "),
        ("missing/store.sqlite", "missing/store.sqlite: No such file or directory"),
        (".", ".: not a file"),
    ],
)
def test_a_store_that_cannot_be_reached(where: str, says: str) -> None:
    with pytest.raises(StoreError) as caught:
        StoreWriter(where, Writer(1, "host", 1, NOW)).write(NOW, seen_of([observed()]))
    assert str(caught.value).startswith(says)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table statement (id)")
        database.commit()


def middle_overwritten(path: Path) -> None:
    writer(path).write(NOW, seen_of([observed(f"t{number}") for number in range(200)]))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 8192))


def cut_off(path: Path) -> None:
    writer(path).write(NOW, seen_of([observed(f"t{number}") for number in range(200)]))
    os.truncate(path, 4096 * 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(os.urandom(5000)), "not a file that dbperf wrote"),
        (foreign, "another program's SQLite database, not a file that dbperf wrote"),
        (middle_overwritten, "the store is damaged ("),
        (cut_off, "the store is damaged ("),
    ],
)
def test_a_file_that_is_no_store_stays_as_it_is(file: Path, make: Any, says: str) -> None:
    make(file)
    before = file.read_bytes()
    for attempt in (
        lambda: writer(file).write(NOW, seen_of([observed()])),
        lambda: read(file),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert str(caught.value).startswith(f"{file}: {says}")
        assert "\n" not in str(caught.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("0001", r"written by an older dbperf \(schema 0001.*\): run dbperf store upgrade "),
        ("9999", r"written by a newer dbperf \(schema 9999.*\): upgrade dbperf$"),
    ],
)
def test_another_schema_is_not_written_and_what_was_seen_waits(file: Path, revision: str, says: str) -> None:
    sink = writer(file)
    sink.write(NOW, seen_of([observed()]))
    (current,) = rows(file, "select version_num from alembic_version")
    with closing(sqlite3.connect(file)) as database:
        database.execute("update alembic_version set version_num = ?", (revision,))
        database.commit()
        with pytest.raises(StoreError, match=says):
            sink.write(NOW, seen_of([observed()]))
        database.execute("update alembic_version set version_num = ?", current)
        database.commit()
    sink.write(NOW, seen_of([observed(calls=2)]))
    assert calls(file) == 3


def test_a_reader_takes_back_what_a_killed_writer_left_half(file: Path) -> None:
    """The file is half written, and the journal beside it has what was there before."""
    sink = writer(file)
    sink.write(NOW, seen_of([observed(f"t{number}") for number in range(300)]))
    journal = file.with_name(f"{file.name}-journal")
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE minute SET calls = 1000")
        half, before = file.read_bytes(), journal.read_bytes()
        database.execute("ROLLBACK")
    assert half != file.read_bytes()
    file.write_bytes(half)
    journal.write_bytes(before)
    assert calls(file) == 300
