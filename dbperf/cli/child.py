"""Another program, run as if it had been started in our place: its terminal, its signals, its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from dbperf.errors import InputError

Process = subprocess.Popen[bytes]

_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_FORWARDED = (*_OF_THE_TERMINAL, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end; its exit code as a shell has it: 128 + n when signal n ended it.

    Raises InputError when it cannot be started.
    """
    with _forwarding() as started:
        try:
            process = subprocess.Popen(command, env=environment)  # noqa: S603  what the user asked for
        except OSError as error:
            raise InputError(f"{command[0]}: {error.strerror}") from None
        started(process)
        code = process.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _forwarding() -> Iterator[Callable[[Process], None]]:
    """While the block runs, signals sent to us reach the process given to the function that is yielded.

    Those of the terminal reach it by themselves: it is in our process group.
    """
    arrived: list[int] = []
    target: list[Process] = []

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a signal handler's signature
        if number not in _OF_THE_TERMINAL or not _terminal_is_ours():
            arrived.append(number)
            deliver()

    def deliver() -> None:
        while target and arrived:
            target[0].send_signal(arrived.pop(0))

    def started(process: Process) -> None:
        target.append(process)
        deliver()

    # What we ignore (nohup, a shell's background) the program ignores too, as it would without us.
    before = {each: signal.getsignal(each) for each in _FORWARDED}
    caught = [each for each, handler in before.items() if handler != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, forward)
    try:
        yield started
    finally:
        for number in caught:
            signal.signal(number, before[number])


def _terminal_is_ours() -> bool:
    """Whether we run in the foreground of a terminal, which then signals the program as well."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
