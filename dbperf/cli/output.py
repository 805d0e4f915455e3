"""Writes a report where the user wants it, and decides the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO, Any

import click

from dbperf.errors import InputError
from dbperf.model.recommendation import Severity
from dbperf.model.report import Report

FORMATS = ("terminal", "json", "html")

Command = Callable[..., Any]


def output_options(command: Command) -> Command:
    """--format and -o, the same for every command that ends in a report."""
    choice = click.Choice(FORMATS)
    formats = click.option("--format", "form", type=choice, default=FORMATS[0], show_default=True)
    path = click.Path(path_type=Path)
    file = click.option("-o", "--output", type=path, help="Write the report to a file.")
    return formats(file(command))


def check_output(path: Path | None) -> None:
    """Say before the work, not after it, that `path` cannot be written. Raises InputError."""
    if path is None:
        return
    folder = path.parent
    if path.is_dir():
        raise InputError(f"-o {path}: is a folder; name a file in it")
    if not folder.is_dir():
        raise InputError(f"-o {path}: there is no folder {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"-o {path}: no permission to write")


def write_report(report: Report, form: str, path: Path | None) -> None:
    """To stdout, or whole to a file; if the disk is full the old file stays and stdout gets the report."""
    if path is None:
        with stdout() as file:
            file.write(_rendered(report, form, file))
        return
    text = _rendered(report, form, StringIO())
    try:
        _write(path, text)
    except OSError as error:
        with stdout() as file:
            file.write(text)
        raise InputError(f"-o {path}: {error.strerror}; the report went to stdout") from None


def exit_code(report: Report, fail_on: str) -> int:
    """1 if a finding is at or above `fail_on`, a severity or "never"."""
    worst = report.worst()
    return int(fail_on != "never" and worst is not None and worst.rank >= Severity(fail_on).rank)


def _rendered(report: Report, form: str, file: IO[str]) -> str:
    """The report as `file` should receive it: a terminal gets colours and its own width."""
    if form == "json":
        from dbperf.report import json

        return json.render(report)
    if form == "html":
        from dbperf.report import html

        return html.render(report)
    from dbperf.report import terminal

    console = terminal.open_console(file)
    with console.capture() as captured:
        terminal.render(report, console)
    return captured.get()


@contextmanager
def stdout() -> Iterator[IO[str]]:
    """Stdout, flushed here: what is left to the interpreter's exit fails where nobody can catch it.

    Raises InputError where it is closed or full.
    """
    if sys.stdout is None:
        raise InputError("stdout is closed")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest of the buffer
        if not isinstance(error, BrokenPipeError):  # then the reader (head, less) has seen enough
            raise InputError(f"stdout: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    path = Path(os.path.realpath(path))  # what a link leads to is replaced, and not the link
    replaceable = path.is_file() and os.access(path.parent, os.W_OK)
    if path.exists() and not replaceable:  # a pipe, a device, a file in somebody else's folder
        path.write_text(text, "utf-8", "backslashreplace")
        return
    from dbperf.workload.replacing import replacing

    with replacing(path, 0o666) as beside:
        beside.write_text(text, "utf-8", "backslashreplace")
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
