"""Statements that would recurse or run without end: what comes back, and what happens to the worker."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from dbperf.errors import StatementError
from dbperf.statements import analyze_statement, confined
from dbperf.statements.confined import on_own_stack, within_budget

T = TypeVar("T")

LONG_LIST = f"SELECT a FROM t WHERE a IN ({', '.join(map(str, range(600)))})"
DEEP = {
    "arrays": "SELECT " + "ARRAY[" * 16 + "1" + "]" * 16,
    "types": "SELECT a::" + "int(" * 25 + "1" + ")" * 25,
    "joins": "SELECT * FROM a " + "JOIN b " * 28,
    "calls": "SELECT " + "date(" * 20 + "a" + ")" * 20,
    "rows": f"INSERT INTO t (a, b) VALUES {', '.join(['(1, 2)'] * 6000)}",
}
ORDINARY = [
    "SELECT a, count(*) FROM t WHERE b = $1 AND c IN (SELECT d FROM u WHERE u.e = t.a) GROUP BY a",
    "SELECT " + "f(" * 12 + "a" + ")" * 12 + " FROM t",
    "SELECT " + "(" * 29 + "a" + ")" * 29 + " FROM t",
    "SELECT " + "NOT " * 200 + "a FROM t",
    "SELECT " + "CASE WHEN a THEN " * 20 + "1" + " END" * 20,
    "SELECT " + "interval " * 300 + "'1'",
]


@pytest.fixture(autouse=True)
def _no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "_answers", {})
    monkeypatch.setattr(confined, "_other_programs", set())


def at_depth(frames: int, function: Callable[[], T]) -> T:
    return at_depth(frames - 1, function) if frames else function()


@pytest.mark.parametrize("name", DEEP)
def test_what_takes_too_long_is_refused(name: str) -> None:
    facts = analyze_statement(DEEP[name])
    assert (facts.parsed, facts.reason) == (False, "takes more than 50 ms to read")


def test_after_a_refusal_the_next_heavy_statement_is_read() -> None:
    assert not analyze_statement(DEEP["arrays"]).parsed
    assert analyze_statement(LONG_LIST).parsed


def test_a_list_that_fits_into_the_budget_is_read_by_one_worker() -> None:
    assert [table.name for table in analyze_statement(LONG_LIST).tables] == ["t"]
    kept = list(confined._kept)
    assert analyze_statement(LONG_LIST + " AND b = 1").parsed
    assert confined._kept == kept


@pytest.mark.parametrize("sql", [*ORDINARY, LONG_LIST])
def test_facts_are_the_same_deep_in_a_program(sql: str) -> None:
    here = analyze_statement(sql)
    for depth in (150, 600):
        assert at_depth(depth, lambda: analyze_statement(sql)) == here


def test_a_thread_that_cannot_start_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    assert on_own_stack(lambda: 5) == 5


@pytest.mark.parametrize("executable", ["/nowhere/python", "/no\0where", "", None, 5])
def test_without_a_process_a_heavy_statement_is_refused(
    executable: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    confined._end()
    monkeypatch.setattr(sys, "executable", executable)
    assert "process" in analyze_statement(LONG_LIST).reason


def application(folder: Path) -> tuple[str, Path]:
    """A program that is no Python, and what it writes a line to each time that it starts."""
    program, starts = folder / "application", folder / "starts"
    program.write_text(f"#!/bin/sh\necho started >> '{starts}'\necho what the application prints\n")
    program.chmod(0o755)
    return str(program), starts


@pytest.mark.skipif(os.name != "posix", reason="a shell's script")
def test_a_program_that_embeds_python_is_started_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confined._end()
    program, starts = application(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", program)
        for _ in range(3):
            assert "process" in analyze_statement(LONG_LIST).reason
    assert starts.read_text() == "started\n"
    assert analyze_statement(LONG_LIST).parsed


@pytest.mark.skipif(os.name != "posix", reason="a shell's script")
def test_a_frozen_program_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    confined._end()
    program, starts = application(tmp_path)
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "process" in analyze_statement(LONG_LIST).reason
    assert not starts.exists()


def test_a_slow_rehearsal_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    confined._end()
    monkeypatch.setattr(confined, "PATIENCE_SECONDS", 0.5)
    within_budget(time.sleep, (0,), (0.8,))
    assert confined._kept


def test_a_program_that_never_answers_is_not_waited_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    confined._end()
    monkeypatch.setattr(confined, "START_SECONDS", 0.2)
    for _ in range(2):
        with pytest.raises(StatementError, match="process"):
            within_budget(time.sleep, (0,), (60,))
    assert confined._other_programs == {sys.executable}
    assert not confined._kept


def test_the_first_answer_stands() -> None:
    facts = analyze_statement(LONG_LIST)
    confined._kept[0].kill()
    assert analyze_statement(LONG_LIST) is facts
    for _ in range(2):
        assert not analyze_statement(DEEP["types"]).parsed
        assert not confined._kept  # the second time nothing was started to be stopped


def test_few_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "MOST_ANSWERS", 2)
    for number in range(4):
        within_budget(int, (number,), ())
    assert list(confined._answers.values()) == [2, 3]


def test_a_worker_that_was_killed_is_replaced() -> None:
    assert analyze_statement(LONG_LIST).parsed
    confined._kept[0].kill()
    confined._kept[0].wait()
    assert analyze_statement(LONG_LIST + " AND b = 1").parsed


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no CPU timer")
def test_compiled_code_is_stopped_too() -> None:
    assert within_budget(int, ("7",), ()) == 7
    # One call into C, which no signal handler of Python's could interrupt.
    with pytest.raises(StatementError, match="50 ms"):
        within_budget(pow, (7, 10**8), ())


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no CPU timer")
@pytest.mark.parametrize("how", ["blocked", "ignored"])
def test_the_program_s_own_use_of_the_signal_is_not_the_worker_s(how: str) -> None:
    confined._end()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF] if how == "blocked" else [])
    handler = signal.signal(signal.SIGPROF, signal.SIG_IGN if how == "ignored" else signal.SIG_DFL)
    try:
        assert within_budget(int, ("7",), ()) == 7
        process = confined._kept[0]
        with pytest.raises(StatementError, match="50 ms"):
            within_budget(pow, (7, 10**8), (1, 1))
        assert process.returncode == -signal.SIGPROF  # not by the clock on the wall
    finally:
        signal.signal(signal.SIGPROF, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class AlarmError(Exception):
    pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm")
@pytest.mark.parametrize("raised", [AlarmError, TimeoutError, KeyboardInterrupt])
def test_what_interrupts_a_question_leaves_no_answer_to_the_next(raised: type[BaseException]) -> None:
    def interrupt(*_: object) -> None:
        raise raised

    chance = random.Random(7)
    interrupted = 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(25):
            assert within_budget(divmod, (number, 7), (1, 1)) == divmod(number, 7)
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.01))
                within_budget(sum, (range(chance.randrange(400_000)), number), ((),))
                time.sleep(1)
            except raised:
                interrupted += 1
            assert within_budget(divmod, (number, 3), (1, 1)) == divmod(number, 3)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted == 25


def test_an_answer_with_another_number_is_none() -> None:
    assert within_budget(int, ("1",), ()) == 1
    stdin = confined._kept[0].stdin
    assert stdin
    stdin.write(bytes(8) + pickle.dumps((0, int, ("2",))))
    with pytest.raises(StatementError, match="process"):
        within_budget(int, ("3",), ())
    assert not confined._kept
    assert within_budget(int, ("3",), ()) == 3


def test_where_no_thread_can_watch_a_heavy_statement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("threading.Thread.start", refuse)
        assert "process" in analyze_statement(LONG_LIST).reason
    assert analyze_statement(LONG_LIST).parsed


PROGRAM = """
import os, threading
from dbperf.statements import analyze_statement, confined
sql = f"SELECT a FROM t WHERE a IN ({', '.join(map(str, range(600)))})"
threads = [threading.Thread(target=analyze_statement, args=(sql,)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
parent = confined._kept[0].pid
child = os.fork()
if not child:
    good = analyze_statement(sql + " AND b = 1").parsed and confined._kept[0].pid != parent
    confined._end()
    os._exit(0 if good else 1)
forked = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
same = analyze_statement(sql + " AND b = 2").parsed and confined._kept[0].pid == parent
print(parent, forked, same, flush=True)
ending = input()
if ending == "kill":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("ending", ["return", "kill"])
def test_the_worker_is_its_own_process_s_and_ends_with_it(ending: str) -> None:
    # No `if __name__ == "__main__"`: a worker that imported the program would run it again.
    program = [sys.executable, "-W", "error", "-c", PROGRAM]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as it:
        assert it.stdin
        assert it.stdout
        assert it.stderr
        worker, forked, same = it.stdout.readline().split()
        assert (forked, same) == (b"0", b"True")
        it.stdin.write(ending.encode() + b"\n")
        it.stdin.flush()
        assert it.stderr.read() == b""
    assert it.returncode == (-signal.SIGKILL if ending == "kill" else 0)
    while _runs(int(worker)):
        pass


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
