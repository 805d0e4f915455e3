"""What is seen reaches the sink once, whatever the sink, the process and its children do."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dbperf.capture import Capture
from dbperf.errors import InputError
from dbperf.model.workload import Seen, Unseen, Writer
from dbperf.settings import Resolved
from dbperf.workload import bounds, flush
from dbperf.workload.flush import Flusher
from dbperf.workload.outlet import Outlet

NEVER = 10_000.0  # seconds: flushed when the test says so
NONE = Unseen()


class Memory:
    """A sink that keeps what it is given, or fails, or hangs."""

    def __init__(self) -> None:
        self.written: list[tuple[dict[str, int], Unseen]] = []
        self.writers: list[Writer] = []
        self.closed = 0
        self.failure: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    def create(self, writer: Writer) -> Memory:
        self.writers.append(writer)
        return self

    def write(self, at: float, seen: Seen) -> None:
        assert at > 1.7e9
        self.meanwhile()
        if self.failure:
            raise self.failure
        unseen = replace(seen.unseen, own_ns=0, own_calls=0)
        if seen.observed or unseen != NONE:
            self.written.append(({each.sql: each.calls for each in seen.observed if each.calls}, unseen))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def sink() -> Memory:
    return Memory()


@pytest.fixture
def flusher() -> Iterator[Flusher]:
    flusher = Flusher()
    yield flusher
    flusher.finish(5)


@pytest.fixture
def engine() -> sa.Engine:
    return sa.create_engine("sqlite://")


def follow(
    engine: sa.Engine, flusher: Flusher, sink: Memory, seconds: float = NEVER, **settings: Any
) -> Capture:
    capture = Capture(engine, "here", Resolved(**settings), flusher.awake)
    flusher.add(id(sink), sink.create, seconds, capture.observations, weakref.ref(capture))
    return capture


def ask(engine: sa.Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for each in statements:
            connection.exec_driver_sql(each)


def test_what_is_new_is_written_and_nothing_when_idle(
    engine: sa.Engine, flusher: Flusher, sink: Memory
) -> None:
    follow(engine, flusher, sink)
    ask(engine, "select 1", "select 1", "select 2")
    for _ in range(3):
        flusher.flush(5)
    ask(engine, "select 1")
    flusher.flush(5)
    assert sink.written == [({"select 1": 2, "select 2": 1}, NONE), ({"select 1": 1}, NONE)]
    (writer,) = sink.writers
    assert (writer.pid, 0 < writer.id < 2**63) == (os.getpid(), True)


def test_it_is_written_by_itself(engine: sa.Engine, flusher: Flusher, sink: Memory) -> None:
    written = threading.Event()
    sink.meanwhile = written.set
    follow(engine, flusher, sink, seconds=0.01)
    ask(engine, "select 1")
    assert written.wait(30)


def test_the_thread_is_none_that_a_program_knows_of(
    engine: sa.Engine, flusher: Flusher, sink: Memory
) -> None:
    before = threading.enumerate()
    served: list[int] = []
    sink.meanwhile = lambda: served.append(threading.get_ident())
    follow(engine, flusher, sink)
    ask(engine, "select 1")
    flusher.flush(5)
    assert threading.enumerate() == before
    assert served != [threading.get_ident()]


def test_what_cannot_be_written_waits_and_is_told_once(
    engine: sa.Engine, flusher: Flusher, sink: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    sink.failure = RuntimeError("password=secret")
    follow(engine, flusher, sink)
    for _ in range(3):
        ask(engine, "select 1")
        flusher.flush(5)
    sink.failure = None
    flusher.flush(5)
    assert sink.written == [({"select 1": 3}, Unseen(flush_failures=3))]
    assert len(sink.writers) == 1
    (line,) = [record.getMessage() for record in caplog.records if record.name == "dbperf"]
    assert line == "what ran cannot be written for now (RuntimeError); it is kept and tried again"


def test_an_error_of_ours_says_what_to_do(
    engine: sa.Engine, flusher: Flusher, sink: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    sink.failure = InputError("x: no dbperf store: dbperf store upgrade x")
    follow(engine, flusher, sink)
    ask(engine, "select 1")
    flusher.flush(5)
    assert "(x: no dbperf store: dbperf store upgrade x)" in caplog.text


def test_a_sink_that_cannot_be_made_is_tried_again(engine: sa.Engine, flusher: Flusher, sink: Memory) -> None:
    tries: list[Writer] = []

    def create(writer: Writer) -> Memory:
        tries.append(writer)
        if len(tries) < 3:
            raise OSError("full")
        return sink

    capture = Capture(engine, "here", Resolved(), flusher.awake)
    flusher.add("key", create, NEVER, capture.observations, lambda: capture)
    ask(engine, "select 1")
    for _ in range(3):
        flusher.flush(5)
    ((seen, unseen),) = sink.written
    assert (seen, unseen.flush_failures > 0) == ({"select 1": 1}, True)


def test_a_sink_that_fails_is_tried_less_often_and_then_as_before() -> None:
    failing = Outlet(Memory().create, seconds=1.0, due=0.0)
    for failing.failures, seconds in ((0, 1), (1, 2), (2, 4), (5, 32), (50, 32), (0, 1)):
        assert seconds * 0.9 <= failing.pause() <= seconds * 1.1


def test_more_strings_than_there_is_room_for(
    engine: sa.Engine, flusher: Flusher, sink: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_STRINGS_KEPT", 2)
    sink.failure = RuntimeError()
    follow(engine, flusher, sink)
    ask(engine, "select 1", "select 2", "select 3", "select 3")
    flusher.flush(5)
    sink.failure = None
    flusher.flush(5)
    ((calls, unseen),) = sink.written
    assert calls == {"select 1": 1, "select 2": 1}
    assert (unseen.folded_calls, unseen.folded_ns > 0, unseen.flush_failures) == (2, True, 1)


def test_an_engine_that_is_gone_leaves_what_it_saw(flusher: Flusher, sink: Memory) -> None:
    def work() -> weakref.ref[Capture]:
        engine = sa.create_engine("sqlite://")
        capture = follow(engine, flusher, sink)
        ask(engine, "select 1")
        return weakref.ref(capture)

    captures = [work() for _ in range(3)]
    gc.collect()
    assert [each() for each in captures] == [None] * 3
    flusher.flush(5)
    assert sink.written == [({"select 1": 3}, NONE)]
    assert flusher._outlets[id(sink)].sources == []


def test_sinks_do_not_wait_for_each_others_luck(flusher: Flusher, sink: Memory) -> None:
    bad = Memory()
    bad.failure = RuntimeError()
    for each in (bad, sink):
        engine = sa.create_engine("sqlite://")
        follow(engine, flusher, each)
        ask(engine, "select 1")
    flusher.flush(5)
    assert (sink.written, bad.written) == ([({"select 1": 1}, NONE)], [])


def test_the_last_flush_closes_and_does_not_wait_for_a_sink_that_hangs(
    engine: sa.Engine, flusher: Flusher, sink: Memory
) -> None:
    release = threading.Event()
    sink.meanwhile = lambda: release.wait(60)
    follow(engine, flusher, sink)
    ask(engine, "select 1")
    flusher.finish(0.01)
    assert sink.written == []
    release.set()


def test_the_last_flush(engine: sa.Engine, flusher: Flusher, sink: Memory) -> None:
    follow(engine, flusher, sink)
    ask(engine, "select 1")
    flusher.finish(5)
    assert (sink.written, sink.closed) == ([({"select 1": 1}, NONE)], 1)
    flusher.finish(5)
    assert sink.closed == 1


def test_no_thread_can_be_started(
    engine: sa.Engine, flusher: Flusher, sink: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    follow(engine, flusher, sink)
    ask(engine, "select 1")
    assert sink.written == []
    flusher.finish(5)
    assert sink.written == [({"select 1": 1}, NONE)]


def test_a_signal_handler_may_flush_in_the_middle_of_a_flush(
    engine: sa.Engine, flusher: Flusher, sink: Memory
) -> None:
    handled: list[int] = []

    def handler(number: int, frame: object) -> None:
        ask(engine, "select 'in the handler'")
        flusher.flush(30)
        handled.append(number)

    def interrupt() -> None:
        sink.meanwhile = lambda: None
        os.kill(os.getpid(), signal.SIGUSR1)

    sink.meanwhile = interrupt
    follow(engine, flusher, sink)
    ask(engine, "select 1")
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        flusher.flush(30)
    finally:
        signal.signal(signal.SIGUSR1, before)
    flusher.flush(30)
    assert len(handled) == 1
    assert sink.written == [({"select 1": 1}, NONE), ({"select 'in the handler'": 1}, NONE)]


def test_garbage_is_not_collected_on_the_thread_where_it_must_not(
    engine: sa.Engine, flusher: Flusher, sink: Memory
) -> None:
    enabled: list[bool] = []
    sink.meanwhile = lambda: enabled.append(gc.isenabled())
    follow(engine, flusher, sink)
    for collector in (True, False):
        flusher.collector = collector
        ask(engine, "select 1")
        flusher.flush(5)
    assert enabled == [True, False]
    assert gc.isenabled()


def forked(flusher: Flusher, work: Callable[[], object]) -> Any:
    """What `work` returned in a child that was forked between the flusher's hooks."""
    reader, writer = os.pipe()
    flusher.before_fork()
    if not os.fork():
        try:
            flusher.after_fork_in_child()
            os.write(writer, pickle.dumps(work()))
        finally:
            os._exit(0)
    flusher.after_fork_in_parent()
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pickle.load(pipe)
    os.wait()
    return answer


def test_a_forked_child_starts_with_nothing_and_a_sink_of_its_own(
    engine: sa.Engine, flusher: Flusher, sink: Memory
) -> None:
    follow(engine, flusher, sink)
    sink.failure = RuntimeError()
    ask(engine, "select 'pending'")
    flusher.flush(5)
    ask(engine, "select 'not taken'")

    def work() -> object:
        sink.failure = None
        flusher.flush(5)
        unasked = list(sink.written)
        ask(sa.create_engine("sqlite://"), "select 'on an engine of no interest'")
        ask(engine, "select 'in the child'")
        flusher.finish(5)
        return unasked, sink.written, [each.pid for each in sink.writers], sink.closed, os.getpid()

    unasked, written, processes, closed, child = forked(flusher, work)
    assert (unasked, written, closed) == ([], [({"select 'in the child'": 1}, NONE)], 1)
    assert processes == [os.getpid(), child]
    sink.failure = None
    ask(engine, "select 'after'")
    flusher.flush(5)
    expected = dict.fromkeys(("select 'pending'", "select 'not taken'", "select 'after'"), 1)
    assert sink.written == [(expected, Unseen(flush_failures=1))]
    assert sink.closed == 0


def test_a_fork_in_the_middle_of_a_flush(engine: sa.Engine, flusher: Flusher, sink: Memory) -> None:
    writing, release = threading.Event(), threading.Event()

    def hang() -> None:
        writing.set()
        release.wait(60)

    sink.meanwhile = hang
    follow(engine, flusher, sink, seconds=0.01)
    ask(engine, "select 1")
    assert writing.wait(30)

    def work() -> object:
        sink.meanwhile = lambda: None
        ask(engine, "select 2")
        flusher.finish(30)
        return sink.written

    assert forked(flusher, work) == [({"select 2": 1}, NONE)]
    release.set()
    sink.meanwhile = lambda: None
    flusher.flush(30)
    assert sink.written == [({"select 1": 1}, NONE)]


def test_a_fork_waits_for_an_import(
    engine: sa.Engine,
    flusher: Flusher,
    sink: Memory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "slow_to_import.py").write_text("import builtins; builtins.slowly(); done = True")
    monkeypatch.syspath_prepend(tmp_path)
    importing, release = threading.Event(), threading.Event()
    monkeypatch.setattr("builtins.slowly", lambda: (importing.set(), release.wait(30)), raising=False)
    monkeypatch.setattr(flush, "_FORK_SECONDS", 0.01)

    def create(writer: Writer) -> Memory:
        import_module("slow_to_import")
        return sink

    capture = Capture(engine, "here", Resolved(), flusher.awake)
    flusher.add("key", create, NEVER, capture.observations, lambda: capture)
    ask(engine, "select 1")
    assert importing.wait(30)
    threading.Timer(0.2, release.set).start()
    flusher.before_fork()
    assert sys.modules["slow_to_import"].done
    flusher.after_fork_in_parent()
