"""`dbperf record`: run a program, any program, and keep what it asked of its databases."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click

from dbperf.cli.output import check_output
from dbperf.errors import InputError
from dbperf.model.workload import Observed, Unseen
from dbperf.recording import environment

_LINGER_SECONDS = 2.0
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_FORWARDED = (*_OF_THE_TERMINAL, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

# Options end where the program begins: what follows is its own.
_CONTEXT = {"allow_interspersed_args": False}


@click.command(short_help="Run a program and keep what it asked of its databases.", context_settings=_CONTEXT)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="dbperf.sqlite",
    show_default=True,
    help="The workload; an earlier one is replaced.",
)
@click.option("--parameters", is_flag=True, help="Keep a few parameter sets of each statement.")
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def record(context: click.Context, output: Path, parameters: bool, command: tuple[str, ...]) -> None:
    """Run a program, and every Python it starts, with all its SQLAlchemy engines recorded; no code changes.

    Exits with the program's exit code, or 128 + n if signal n ended it.
    """
    check_output(output)
    spools = Path(tempfile.mkdtemp(prefix="dbperf-"))
    try:
        code = _run(command, os.environ | environment(str(spools), parameters=parameters))
        still_running = _wait_for_stragglers(spools)
        seen = _merge(spools, output)
    finally:
        shutil.rmtree(spools, ignore_errors=True)
    click.echo(f"dbperf: {seen.calls} {still_running}", err=True)
    context.exit(code)


@dataclass(slots=True)
class _Seen:
    calls: int = 0
    processes: int = 0
    torn: int = 0
    garbage: list[Path] = field(default_factory=list)


def _merge(spools: Path, output: Path) -> _Seen:
    from dbperf.workload.file import save
    from dbperf.workload.fold import fold
    from dbperf.workload.spool import read_spools

    seen = _Seen()
    observed: list[Observed] = []
    unseen = Unseen()
    for each in read_spools(spools, seen.garbage):
        seen.processes += 1
        for batch in each.batches:
            observed += batch.observed
            unseen += batch.unseen
    workload = fold(observed, unseen)
    seen.calls = sum(each.calls for each in workload.statements)
    save(workload, output)
    return seen


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end; its exit code as a shell has it."""
    with _forwarding() as started:
        try:
            process = subprocess.Popen(command, env=environment)  # noqa: S603  what the user asked for
        except OSError as error:
            raise InputError(f"{command[0]}: {error.strerror}") from None
        started(process)
        code = process.wait()
    return 128 - code if code < 0 else code


def _wait_for_stragglers(spools: Path) -> int:
    from dbperf.workload.spool import still_written

    deadline = time.monotonic() + _LINGER_SECONDS
    while (alive := still_written(spools)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


@contextmanager
def _forwarding() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """While the block runs, signals sent to us reach the process that the function yielded is given.

    Those of the terminal reach it by themselves: it is in our process group.
    """
    arrived: list[int] = []
    target: list[subprocess.Popen[bytes]] = []

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a signal handler's signature
        if not (number in _OF_THE_TERMINAL and _terminal_is_ours()):
            arrived.append(number)
        for process in target:
            while arrived:
                process.send_signal(arrived.pop(0))

    def started(process: subprocess.Popen[bytes]) -> None:
        target.append(process)
        while arrived:
            process.send_signal(arrived.pop(0))

    # What we ignore (nohup, a shell's background) the program ignores too, as it would without us.
    before = {each: signal.getsignal(each) for each in _FORWARDED if signal.getsignal(each) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, forward)
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminal_is_ours() -> bool:
    """Whether we run in the foreground of a terminal, which then signals the program as well."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
