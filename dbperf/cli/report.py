"""`dbperf report`: render a saved report again."""

from __future__ import annotations

from pathlib import Path

import click

from dbperf.cli.output import check_output, output_options, write_report
from dbperf.errors import InputError
from dbperf.model.report import Report

_LARGEST = 100_000_000
"""Bytes of a file; a report of 5,000 statements has a tenth of that."""


@click.command(short_help="Render a saved report again.")
@click.argument("file")
@output_options
def report(file: str, form: str, output: Path | None) -> None:
    """Render a report that was saved with --format json; - reads it from stdin."""
    check_output(output)
    write_report(_load(file), form, output)


def _load(where: str) -> Report:
    from dbperf.report import saved

    try:
        with click.open_file(where, "rb") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise InputError("larger than any dbperf report")
        return saved.parse(text)
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
