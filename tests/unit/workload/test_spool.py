"""What a process spools is read back whole; what is torn costs no more than the torn line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Observed, Seen, Unseen, Writer
from dbperf.workload import spool
from dbperf.workload.spool import Batch, Spool, Spooled, read_spools, still_written

WRITER = Writer(2**63 - 1, "a host", 4321, 1.7e9)
NONE = Unseen()


def observed(sql: str = "select 1", calls: int = 1, **more: Any) -> Observed:
    return Observed(sql, "postgresql", "pyformat", "db/5432/shop", calls=calls, **more)


def seen_of(observed: Iterable[Observed], unseen: Unseen = NONE, *figures: Figure) -> Seen:
    return Seen(tuple(observed), figures, unseen)


FULL = observed(
    'select "\ud800é\n%s"',
    calls=3,
    parameter_sets=4,
    rows=5,
    unread_rows=2,
    errors=1,
    timeouts=6,
    cancellations=2,
    wait_ns=7,
    execute_ns=2**60,
    fetch_ns=8,
    failures=(("IntegrityError", 1), ("QueryCanceled", 1)),
    operations=(('GET "/\ud800é"', 2), ("job", 1)),
    accesses=(
        Access(
            "lazy",
            "job",
            CallSite("/a\n.py", 7, "g", 0),
            "selectinload(A.bs)",
            CallSite("/b.py", 1, "f", 0),
            1,
            9,
            8,
            7,
        ),
        Access("again", calls=2),
    ),
    latency=Latency(((5, 1), (900, 2))),
    call_sites=(CallSite("/a\n.py", 7, "f.<locals>.g", 3),),
    parameters=(
        {"b": Decimal("1.5"), "a": [1, None]},
        (b"\0", datetime(2024, 1, 1), "é"),
        (),
    ),
)


FIGURES = (
    Figure("held", "/srv/a b.py:7 f.<locals>.g", "db/5432/shop", (("leaked_ns", 9), ("leaks", 1))),
    Figure("operation", "GET /é", "", (("calls", 1), ("marker a b", 1), ("marker_ns a b", 7))),
    Figure("pool", "QueuePool", "db/5432/shop", (("checkouts", 3), ("wait.93", 2**60))),
)


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Spool]:
    sink = Spool(str(tmp_path), WRITER, parameters=True)
    yield sink
    sink.close()


def only(folder: Path) -> Spooled:
    (spooled,) = read_spools(folder, [])
    return spooled


def test_what_was_written_is_read(writing: Spool, tmp_path: Path) -> None:
    first = seen_of([FULL, observed()], Unseen(1, 2, 3, 4, 5, 6, 7, 8), *FIGURES)
    writing.write(60.0, first)
    writing.write(120.0, seen_of([observed(calls=9)]))
    assert only(tmp_path) == Spooled(
        WRITER,
        (
            Batch(60.0, first),
            Batch(120.0, seen_of([observed(calls=9)])),
        ),
        flushes=2,
        torn=0,
    )


def test_a_text_is_spelled_out_once(writing: Spool, tmp_path: Path) -> None:
    for number in range(50):
        more = {"operations": (("job", 1),), "accesses": (Access("lazy", calls=1),)}
        writing.write(number, seen_of([observed("select a_long_text", **more)], NONE, FIGURES[-1]))
    (path,) = tmp_path.glob("*.spool")
    assert [path.read_text().count(each) for each in ("a_long_text", "QueuePool", "job", "lazy")] == [1] * 4
    (batch,) = only(tmp_path).batches
    assert [each.calls for each in batch.seen.observed] == [50]
    assert [each.count("checkouts") for each in batch.seen.figures] == [150]


def test_very_many_texts_are_not_all_remembered(
    writing: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_NAMES_KEPT", 10)
    for number in range(100):
        writing.write(1.0, seen_of([observed(f"select {number % 25}")]))
        assert len(writing._names) <= 10
    (batch,) = only(tmp_path).batches
    assert {each.sql: each.calls for each in batch.seen.observed} == {f"select {n}": 4 for n in range(25)}


def test_a_minute_is_one_batch_whatever_the_clock_does(writing: Spool, tmp_path: Path) -> None:
    for at in (60.0, 61.5, 119.9, 120.0, 30.0, 31.0, 125.0):
        writing.write(at, seen_of([observed()], Unseen(folded_calls=1)))
    spooled = only(tmp_path)
    seen = [(each.at, each.seen.observed[0].calls, each.seen.unseen.folded_calls) for each in spooled.batches]
    assert seen == [(119.9, 3, 3), (120.0, 1, 1), (31.0, 2, 2), (125.0, 1, 1)]
    assert spooled.flushes == 7


def test_no_parameters_where_they_may_not_be_kept(tmp_path: Path) -> None:
    sink = Spool(str(tmp_path), WRITER, parameters=False)
    sink.write(1.0, seen_of([FULL]))
    sink.close()
    ((batch,), (path,)) = (only(tmp_path).batches, tmp_path.glob("*.spool"))
    assert (batch.seen.observed[0].parameters, "1.5" in path.read_text()) == ((), False)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_last_line_torn_anywhere_is_all_that_is_lost(writing: Spool, tmp_path: Path) -> None:
    writing.write(60.0, seen_of([observed()]))
    (path,) = tmp_path.glob("*.spool")
    before = path.stat().st_size
    writing.write(120.0, seen_of([FULL], Unseen(1, 2, 3), *FIGURES))
    data = path.read_bytes()
    first = Batch(60.0, seen_of([observed()]))
    for length in range(before, len(data)):
        path.write_bytes(data[:length])
        spooled = only(tmp_path)
        if length == len(data) - 1:  # it lacks the line feed alone
            assert (len(spooled.batches), spooled.torn) == (2, 0)
        else:
            assert (spooled.batches, spooled.torn) == ((first,), int(length > before))


def torn_at(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """The disk takes that much of the next write, then no more of it."""
    write = os.write

    def short(file: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        return write(file, data[:length]) if length else full()

    monkeypatch.setattr(os, "write", short)


def full() -> int:
    raise OSError(errno.ENOSPC, "full")


def test_what_could_not_be_written_whole_is_written_again_and_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    written_to(whole).write(61.0, seen_of([FULL]))
    (path,) = whole.glob("*.spool")
    for length in range(len(path.read_bytes().splitlines(keepends=True)[-1])):
        folder = tmp_path / str(length)
        folder.mkdir()
        sink = written_to(folder)
        torn_at(monkeypatch, length)
        with pytest.raises(OSError, match=r"full|No space"):
            sink.write(61.0, seen_of([FULL]))
        sink.write(62.0, seen_of([FULL, observed("select after")], Unseen(flush_failures=1)))
        sink.write(63.0, seen_of([observed("select after")]))
        sink.close()
        spooled = only(folder)
        counts = {each.sql: each.calls for batch in spooled.batches for each in batch.seen.observed}
        assert counts == {"select before": 1, FULL.sql: 3, "select after": 2}
        assert (spooled.flushes, spooled.torn) == (3, 0)


def written_to(folder: Path) -> Spool:
    sink = Spool(str(folder), WRITER, parameters=True)
    sink.write(60.0, seen_of([observed("select before")]))
    return sink


def test_a_line_damaged_in_the_middle_is_counted(writing: Spool, tmp_path: Path) -> None:
    for number in range(3):
        writing.write(1.0, seen_of([observed(f"select {number}")]))
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes().replace(b"select 1", b'select"1'))
    spooled = only(tmp_path)
    assert [each.sql for each in spooled.batches[0].seen.observed] == ["select 0", "select 2"]
    assert spooled.torn == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        b"{}\n",
        b"[1]\n{}\n",
        b'{"dbperf spool":1,"writer":[1,"a",2,3]}\n',
        b'{"dbperf spool":2,"writer":"abcd"}\n',
        b"[" * 100_000,
    ],
)
def test_garbage_is_named_and_skipped(writing: Spool, tmp_path: Path, content: bytes) -> None:
    writing.write(1.0, seen_of([observed()]))
    garbage = tmp_path / "0.spool"
    garbage.write_bytes(content)
    skipped: list[Path] = []
    assert len(list(read_spools(tmp_path, skipped))) == 1
    assert skipped == [garbage]


@pytest.mark.parametrize("line", [b"7", b"{}", b'{"names":5}', b'"\xff"', b'{"names":[[0]],"seen":[[0]]}'])
def test_a_line_of_garbage_is_counted(writing: Spool, tmp_path: Path, line: bytes) -> None:
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes() + line)
    assert only(tmp_path) == Spooled(WRITER, (), flushes=0, torn=1)


def test_after_the_recording_nothing_is_written(writing: Spool, tmp_path: Path) -> None:
    (path,) = tmp_path.glob("*.spool")
    with path.open("rb") as kept:
        path.unlink()
        before = os.fstat(kept.fileno()).st_size
        writing.write(1.0, seen_of([FULL]))
        assert os.fstat(kept.fileno()).st_size == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Spool(str(tmp_path / "gone"), WRITER, parameters=False)


def test_a_header_that_could_not_be_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn_at(monkeypatch, 5)
    with pytest.raises(OSError, match="No space"):
        Spool(str(tmp_path), WRITER, parameters=False)
    assert list(tmp_path.iterdir()) == []


def test_whether_the_process_lives(tmp_path: Path) -> None:
    begun, end = os.pipe(), os.pipe()
    if not os.fork():
        os.close(end[1])
        Spool(str(tmp_path), WRITER, parameters=False)
        os.write(begun[1], b"1")
        os.read(end[0], 1)
        os._exit(0)
    os.read(begun[0], 1)
    assert still_written(tmp_path) == 1
    os.close(end[1])
    os.wait()
    assert still_written(tmp_path) == 0
