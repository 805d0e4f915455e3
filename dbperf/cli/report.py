"""`dbperf report`: render a saved report, or the last one of a store, again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from dbperf.cli.output import check_output, output_options, write_report
from dbperf.errors import InputError
from dbperf.model.report import Coverage, Report, StatementReport, Target

_LARGEST = 100_000_000
"""Bytes of a file; a report of 5,000 statements has a tenth of that."""
_SQLITE = b"SQLite format 3\0"


@click.command(short_help="Render a saved report again.")
@click.argument("file", metavar="FILE|STORE")
@output_options
def report(file: str, form: str, output: Path | None) -> None:
    """Render a report that was saved with --format json (- reads it from stdin), or the last one that
    `dbperf analyze` left in a workload file or store.
    """
    check_output(output)
    write_report(_load(file), form, output)


def _load(where: str) -> Report:
    if "://" in where:
        return _last(where)
    try:
        with click.open_file(where, "rb") as file:
            text = file.read(len(_SQLITE))
            if text != _SQLITE:
                text += file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from None
    if text == _SQLITE:
        if where == "-":
            raise InputError("-: a store is no stream: name its file")
        return _last(where)
    if len(text) > _LARGEST:
        raise InputError(f"{where}: larger than any dbperf report")
    return _parsed(text, where)


def _parsed(text: str | bytes, where: str) -> Report:
    from dbperf.report import saved

    try:
        return saved.parse(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _last(store: str) -> Report:
    from dbperf.workload.store.connect import place_of
    from dbperf.workload.store.history import last_run

    if not (run := last_run(store)):
        return _unjudged(store)
    label = place_of(store).label
    kept = _parsed(run.report, label)
    click.echo(f"dbperf: {label}: as analyzed {datetime.fromtimestamp(run.at):%Y-%m-%d %H:%M}", err=True)
    return kept


def _unjudged(store: str) -> Report:
    """What a store has seen, where nobody has asked yet what to do about it."""
    from dbperf.workload.store.read import read

    workload = read(store)
    statements = sorted(workload.statements, key=lambda each: -each.seconds)
    databases = sorted({each.database for each in statements})
    return Report(
        Target(databases[0] if len(databases) == 1 else f"{len(databases):,} databases", "", ""),
        tuple(StatementReport(each, "not judged yet") for each in statements),
        (),
        Coverage(len(statements), 0, 0, notes=workload.notes, unseen=workload.coverage),
        figures=workload.figures,
    )
