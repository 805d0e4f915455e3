"""`dbperf record`: run a program, any program, and keep what it asked of its databases."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbperf.cli import child
from dbperf.cli.output import check_output
from dbperf.errors import DbperfError
from dbperf.recording import environment
from dbperf.report.format import plural

if TYPE_CHECKING:
    from dbperf.workload.spool import Spooled

_LINGER_SECONDS = 2.0

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
    still_running = _wait_for_stragglers(spools)
    try:
        click.echo(f"dbperf: {_keep(spools, output, still_running)}", err=True)
    except DbperfError as error:
        kept = f"what was recorded is in {spools}: dbperf store merge {spools} --into FILE"
        click.echo(f"dbperf: {error}; {kept}", err=True)
        context.exit(code or 2)
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


@dataclass(slots=True)
class _Tally:
    """What was read of the spools."""

    calls: int = 0
    processes: int = 0
    torn: int = 0
    failures: int = 0
    skipped: list[Path] = field(default_factory=list)

    def counted(self, spools: Iterable[Spooled]) -> Iterator[Spooled]:
        for spooled in spools:
            calls = sum(each.calls for batch in spooled.batches for each in batch.observed)
            self.calls += calls
            self.processes += calls > 0
            self.torn += spooled.torn
            self.failures += sum(batch.unseen.flush_failures for batch in spooled.batches)
            yield spooled


def _keep(spools: Path, output: Path, still_running: int) -> str:
    """Write the workload; one line on how that went. An earlier file stays if nothing was recorded."""
    from dbperf.workload.spool import read_spools

    tally = _Tally()
    spooled = list(tally.counted(read_spools(spools, tally.skipped)))
    if not tally.calls:
        return _nothing(spools)
    statements = _write(spooled, output)
    told = f"{plural(tally.calls, 'call')} of {plural(statements, 'statement')}"
    next_step = f"dbperf analyze --db URL --workload {output}"
    line = f"{told} by {plural(tally.processes, 'process')} recorded in {output}; next: {next_step}"
    return "; ".join((line, *_but(tally, still_running)))


def _write(spooled: list[Spooled], output: Path) -> int:
    from dbperf.model.workload import Unseen
    from dbperf.workload.file import save
    from dbperf.workload.fold import fold

    batches = [batch for each in spooled for batch in each.batches]
    unseen = sum((batch.unseen for batch in batches), Unseen())
    workload = fold((each for batch in batches for each in batch.observed), unseen)
    save(workload, output)
    return len(workload.statements)


def _but(tally: _Tally, still_running: int) -> Iterator[str]:
    if tally.torn:
        yield f"{plural(tally.torn, 'line')} lost of processes that were killed while writing"
    if tally.failures:
        yield f"{plural(tally.failures, 'write')} failed and came later"
    if tally.skipped:
        yield f"not readable: {', '.join(path.name for path in tally.skipped)}"
    if still_running:
        yield f"{plural(still_running, 'process')} still running, not recorded any more"


def _nothing(spools: Path) -> str:
    """Why nothing was recorded, from the notes that processes left, and what to do."""
    notes = {path.stem for path in spools.glob("*.note")}
    versions = dict(each.split("-", 1) for each in notes if "-" in each)
    instead = "add ?plugin=dbperf to the URL of its engine"
    if "engine" in notes and "unwritten" in notes:
        why = f"its processes could not write to {spools}: is the disk full?"
    elif "engine" in notes:
        why = "its engines ran no statement"
    elif "disabled" in notes:
        why = "dbperf is switched off there, by DBPERF_ENABLED or in pyproject.toml"
    elif "sqlalchemy" in versions:
        why = f"its SQLAlchemy is {versions['sqlalchemy']}; 2.0.30 or later is recorded"
    elif "python" in versions:
        why = f"its Python is {versions['python']}; 3.11 or later is recorded"
    elif "failed" in versions:
        why = f"dbperf could not be loaded there ({versions['failed']}): install it beside SQLAlchemy"
    elif "started" in notes:
        why = f"Python ran, and no SQLAlchemy engine was made by create_engine: {instead}"
    else:
        why = (
            "no Python that it started could be reached (python -I, -E, -S, an environment or a sitecustomize"
            f" of its own, or no Python at all): {instead}"
        )
    return f"nothing recorded: {why}"
