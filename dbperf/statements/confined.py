"""Calls that may recurse or run without end, kept from doing harm to the program they are made in.

A thread cannot be killed, and a signal reaches Python code on the main thread alone and the compiled build of
sqlglot nowhere. What bounds the time of a call for certain is a process. It is made for the first statement
that is too heavy to be read here, by subprocess (which takes along nothing of a threaded program's state, and
imports no `__main__`), and kept. The kernel ends it when one call has used up its CPU; the next call gets a
new one. It has no file and no port: its stdin closes when this process ends, however that comes, and then it
ends too.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from io import BufferedReader, BufferedWriter
from itertools import count
from typing import Any, TypeVar

from dbperf.errors import StatementError
from dbperf.statements import worker

CPU_SECONDS = 0.05
START_SECONDS = 30.0
# By the clock on the wall: where there is no CPU timer (Windows), and for a worker that is stopped.
PATIENCE_SECONDS = 5.0
MOST_ANSWERS = 256
_NO_PROCESS = "too heavy to be read without a process for it, which could not be had"
_SIGPROF = getattr(signal, "SIGPROF", 0)

_T = TypeVar("_T")


class _Late:
    """In the place of an answer that did not come in time."""


class _SilentError(StatementError):
    """The process ended, and not for its time, or said what is no answer to what it was asked."""


_lock = threading.Lock()  # of all below
# What takes nearly all of the budget would be read one time and refused the next: the first answer stands.
_answers: dict[bytes, Any] = {}
_kept: list[subprocess.Popen[bytes]] = []
_numbers = count(1)
# What `sys.executable` named and did not answer: a program that embeds Python, say.
_other_programs: set[str] = set()


def on_own_stack(function: Callable[[], _T]) -> _T:
    """What `function` returns, with all of Python's recursion limit for itself; it must not raise.

    The limit counts the frames of one thread. What has run into it is tried again here, or else it would
    depend on how deep in a program a statement is asked about whether it can be read. Not each is read here
    to begin with: a thread costs as much as the reading of a short statement, 0.1 to 0.3 ms.
    """
    returned: list[_T] = []
    thread = threading.Thread(
        target=lambda: returned.append(function()), name="dbperf-statement", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # no thread can start: there are too many, or the interpreter is going down
        return function()
    thread.join()
    return returned[0]


def within_budget(function: Callable[..., _T], arguments: tuple[Any, ...], rehearsal: tuple[Any, ...]) -> _T:
    """What `function(*arguments)` returns in another process, for at most `CPU_SECONDS` of CPU.

    It must be found by its module and name, it must not raise, and all it takes and returns is pickled. A new
    process calls `function(*rehearsal)` first, off the clock: imports are not the statement's time. Raises
    StatementError where the call takes longer or no process can be had.
    """
    question = pickle.dumps((CPU_SECONDS, function, arguments))
    key = blake2b(question).digest()
    with _lock:
        answer = _answers.get(key)
        if answer is None:
            answer = _answers[key] = _asked(question, pickle.dumps((0, function, rehearsal)))
            if len(_answers) > MOST_ANSWERS:
                del _answers[next(iter(_answers))]
    if isinstance(answer, _Late):
        raise StatementError(f"takes more than {CPU_SECONDS * 1e3:.0f} ms to read")
    told: _T = answer
    return told


def _asked(question: bytes, rehearsal: bytes) -> Any:
    """The answer, of a new process if there is none. However else this ends, none is kept."""
    try:
        if not _kept or _kept[0].poll() is not None:
            _start(rehearsal)
        return _answer(question, PATIENCE_SECONDS)
    except BaseException:  # a signal's handler may raise anywhere: an answer may be left unread
        _end()
        raise


def _start(rehearsal: bytes) -> None:
    """A new process, which has answered once. A program that did not is not started again from here."""
    _end()
    executable = sys.executable
    # A frozen program is its own executable: it would be started again, with whatever that does.
    if getattr(sys, "frozen", False) or not executable or executable in _other_programs:
        raise StatementError(_NO_PROCESS)
    _kept.append(_process(executable))
    try:
        if isinstance(_answer(rehearsal, START_SECONDS), _Late):
            raise _SilentError(_NO_PROCESS)
    except _SilentError:
        _other_programs.add(executable)
        raise


def _process(executable: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [executable, "-I", "-S", worker.__file__, *map(str, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # sqlglot logs what it cannot read, literals too
            start_new_session=True,  # Ctrl-C is for the program that runs
        )
    except (OSError, TypeError, ValueError) as error:
        if _of_a_handler(error):
            raise
        raise StatementError(_NO_PROCESS) from None


def _answer(question: bytes, patience: float) -> Any:
    """What the process says; `_Late` if it was stopped. Raises `_SilentError` if it ended otherwise.

    Question and answer have a number, so that an answer that was left unread is never taken for the next.
    """
    process = _kept[0]
    assert process.stdin
    assert process.stdout
    number = next(_numbers).to_bytes(worker.NUMBER_BYTES, "big")
    late = threading.Event()
    overdue = threading.Timer(patience, _stop, (process, late))
    overdue.daemon = True
    try:
        _begin(overdue)
        process.stdin.write(number + question)
        process.stdin.flush()
        if process.stdout.read(len(number)) != number:
            raise EOFError
        return pickle.load(process.stdout)  # noqa: S301 - from our own process
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        if _of_a_handler(error):
            raise
        _end()
        if late.is_set() or process.returncode == -_SIGPROF:
            return _Late()
        raise _SilentError(_NO_PROCESS) from None
    finally:
        overdue.cancel()


def _begin(overdue: threading.Timer) -> None:
    try:
        overdue.start()
    except RuntimeError as error:
        if isinstance(error, RecursionError):  # is tried again, on a stack of its own
            raise
        raise StatementError(_NO_PROCESS) from None  # no thread can start: nothing would end a long call


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()  # first: the end of the process is what is looked for
    process.kill()


def _of_a_handler(error: Exception) -> bool:
    """Whether it is the program's own timeout, which a signal's handler raised in the midst of this."""
    return isinstance(error, TimeoutError) and error.errno is None


def _end() -> None:
    while _kept:
        process = _kept.pop()
        with suppress(OSError), process:  # closes its pipes and waits for it
            process.kill()


def _forget_in_child() -> None:
    """A forked child must not speak into its parent's conversation, nor keep the worker alive."""
    global _lock
    _lock = threading.Lock()
    while _kept:
        process = _kept.pop()
        process.returncode = 0  # it is not this process's to wait for
        for pipe in (process.stdin, process.stdout):
            if isinstance(pipe, BufferedReader | BufferedWriter):
                pipe.raw.close()  # not what is buffered: another thread may have been writing it


atexit.register(_end)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_in_child)
