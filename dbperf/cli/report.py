"""`dbperf report`: render a saved report, or the last one of a store, again."""

from __future__ import annotations

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
    from dbperf.report import saved

    if "://" in where:
        return _last(where)
    try:
        with click.open_file(where, "rb") as file:
            text = file.read(len(_SQLITE))
            if text == _SQLITE:
                return _last(where)
            text += file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from None
    try:
        if len(text) > _LARGEST:
            raise InputError("larger than any dbperf report")
        return saved.parse(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _last(store: str) -> Report:
    from dbperf.report import saved
    from dbperf.workload.store.history import last_report

    document = last_report(store)
    return saved.parse(document) if document else _unjudged(store)


def _unjudged(store: str) -> Report:
    """What a store has seen, where nobody has asked yet what to do about it."""
    from dbperf.workload.store.read import read

    workload = read(store)
    databases = sorted({each.database for each in workload.statements})
    verdict = "not judged yet"
    how = (
        f"{verdict}: dbperf analyze --db URL --workload {Path(store).name if '://' not in store else 'STORE'}"
    )
    return Report(
        Target(databases[0] if len(databases) == 1 else f"{len(databases):,} databases", "", ""),
        tuple(StatementReport(each, verdict) for each in workload.statements),
        (),
        Coverage(len(workload.statements), 0, 0, notes=(*workload.notes, how)),
    )
