"""`dbperf record`: run a program, any program, and keep what it asked of its databases."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbperf.cli import USAGE, child
from dbperf.cli.output import check_output
from dbperf.errors import DbperfError
from dbperf.recording import environment
from dbperf.report.format import plural

if TYPE_CHECKING:
    from dbperf.workload.spool import Spooled
    from dbperf.workload.store.recording import Recorded

_LINGER_SECONDS = 2.0
_NEXT = "next: dbperf analyze --db URL --workload {}"

# Options end where the program begins: what follows is its own.
_CONTEXT = {"allow_interspersed_args": False}


@click.command(short_help="Run a program and keep what it asks of its databases.", context_settings=_CONTEXT)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("dbperf.sqlite"),
    show_default=True,
    help="The workload; an earlier one is replaced.",
)
@click.option("--parameters", is_flag=True, help="Keep a few parameter sets of each statement: users' data.")
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def record(context: click.Context, output: Path, parameters: bool, command: tuple[str, ...]) -> None:
    """Run a program, and every Python it starts, and record what their SQLAlchemy engines do.

    Nothing of the program changes. The exit code is the program's, or 128 + n if signal n ended it.
    """
    check_output(output)
    _check_replaceable(output)
    spools = Path(tempfile.mkdtemp(prefix="dbperf-record-"))
    try:
        code = child.run(command, os.environ | environment(str(spools), parameters=parameters))
    except DbperfError:
        shutil.rmtree(spools, ignore_errors=True)
        raise
    try:
        # The program has ended; a second Ctrl-C, or a supervisor that loses its patience, means us.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        still_running = _wait_for_stragglers(spools)
        click.echo(f"dbperf: {_keep(spools, output, parameters, still_running)}", err=True)
    except (DbperfError, OSError, KeyboardInterrupt) as error:
        reason = str(error) or "interrupted"
        click.echo(f"dbperf: {reason}; nothing is lost: dbperf store merge {spools} --into FILE", err=True)
        context.exit(code or USAGE)
    shutil.rmtree(spools, ignore_errors=True)
    context.exit(code)


def _check_replaceable(output: Path) -> None:
    if output.exists():
        from dbperf.workload.file import check_replaceable

        check_replaceable(output)


def _wait_for_stragglers(spools: Path) -> int:
    """Wait a little for processes that outlive the program; how many are alive even then."""
    from dbperf.workload.spool import still_written

    deadline = time.monotonic() + _LINGER_SECONDS
    while (alive := still_written(spools)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _keep(spools: Path, output: Path, parameters: bool, still_running: int) -> str:
    """Write the workload; one line on how that went. An earlier file stays if nothing was recorded."""
    from dbperf.workload.spool import read_spools
    from dbperf.workload.store.recording import write_recording

    skipped: list[Path] = []
    spooled = (each for each in read_spools(spools, skipped) if each.batches or each.torn)
    read: list[Spooled] = []
    while not (read and read[-1].batches):
        try:
            read.append(next(spooled))
        except StopIteration:
            return _nothing(spools)
    recorded = write_recording(output, chain(read, spooled), private=parameters)
    told = f"{plural(recorded.calls, 'call')} of {plural(recorded.statements, 'statement')}"
    line = f"{told} by {plural(recorded.processes, 'process')} recorded in {output}"
    return "; ".join((line, *_but(recorded, skipped, still_running), _NEXT.format(output)))


def _but(recorded: Recorded, skipped: list[Path], still_running: int) -> Iterator[str]:
    if recorded.torn:
        yield f"{plural(recorded.torn, 'line')} lost of processes that were killed as they wrote"
    if recorded.unseen.flush_failures:
        yield f"{plural(recorded.unseen.flush_failures, 'write')} failed and came later"
    if recorded.unseen.observer_failures:
        yield f"{plural(recorded.unseen.observer_failures, 'capture')} failed and switched off"
    if skipped:
        yield f"not readable: {', '.join(path.name for path in skipped)}"
    if still_running:
        yield f"{plural(still_running, 'process')} still running, not recorded any more"


_INSTEAD = "add ?plugin=dbperf to the URL of its engine"
_WHY = (
    ("unwritten", "its processes could not write to their spool: is the disk of {folder} full?"),
    ("engine", "its engines ran no statement"),
    ("disabled", "dbperf is switched off there, by DBPERF_ENABLED or in pyproject.toml"),
    ("settings", "dbperf's settings there cannot be used: {more}"),
    ("sqlalchemy", "its SQLAlchemy is {more}; 2.0.30 or later is recorded"),
    ("python", "its Python is {more}; 3.11 or later is recorded"),
    ("failed", "dbperf could not be loaded there ({more}): install it beside SQLAlchemy"),
    ("started", f"Python ran, and no SQLAlchemy engine was made by create_engine: {_INSTEAD}"),
    (
        "",
        "no Python that it started could be reached (python -I, -E, -S, an environment or a sitecustomize of"
        f" its own, or no Python at all): {_INSTEAD}",
    ),
)


def _nothing(spools: Path) -> str:
    """Why nothing was recorded, from the notes of how far processes got, and what to do."""
    notes = {path.stem: path.read_text("utf-8", "replace") for path in spools.glob("*.note")}
    word, why = next(each for each in _WHY if each[0] in {*notes, ""})
    return f"nothing recorded: {why.format(more=notes.get(word, ''), folder=spools.parent)}"
