"""`dbperf analyze`: judge a workload on a database."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from dbperf.cli.driver import check_driver
from dbperf.cli.output import check_output, exit_code, output_options, write_report
from dbperf.cli.progress import steps
from dbperf.cli.since import since_option, time_of
from dbperf.errors import InputError
from dbperf.model.recommendation import Severity
from dbperf.model.report import ENVIRONMENTS, Report
from dbperf.model.workload import Workload
from dbperf.plans.target import is_sqlite

SOURCES = ("pg_stat_statements",)


@click.command(short_help="Judge a workload on a database.")
@click.option(
    "--db",
    "target",
    required=True,
    metavar="DSN",
    help="A libpq string, or a postgresql:// or sqlite:// URL.",
)
@click.option("--workload", "store", metavar="FILE|URL", help="What record or perf.save() wrote, or a store.")
@since_option
@click.option("--sql", type=click.Path(path_type=Path), help="A .sql file, or a folder of them.")
@click.option("--from", "source", type=click.Choice(SOURCES), help="What the server counted itself.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Judge the statements that took most time.",
)
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default=ENVIRONMENTS[0],
    show_default=True,
    help="Indexes are tried by building them, never in production; for SQLite on a copy of the file.",
)
@click.option(
    "--verify", is_flag=True, help="Execute the statements with and without each index, and time them."
)
@click.option(
    "--fail-on",
    type=click.Choice(("never", *(each.value for each in Severity))),
    default="never",
    show_default=True,
    help="Exit with 1 on a finding of this severity or above.",
)
@click.option(
    "--select", multiple=True, metavar="RULES", help="Judge by these alone: DBP1, DBP305, deep-offset."
)
@click.option(
    "--ignore", multiple=True, metavar="RULES", help="Leave these out; DBP305@shop/views.py for some code."
)
@output_options
@click.pass_context
def analyze(
    context: click.Context,
    target: str,
    store: str | None,
    since: str | None,
    sql: Path | None,
    source: str | None,
    top: int,
    environment: str,
    verify: bool,
    fail_on: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    form: str,
    output: Path | None,
) -> None:
    """Judge a workload on a database: what is missing, what it would bring, and for every statement why."""
    if sum(given is not None for given in (store, sql, source)) != 1:
        raise click.UsageError("give one of --workload FILE, --sql FILE|DIR and --from pg_stat_statements")
    if since and not store:
        raise click.UsageError("--since is for --workload")
    check_output(output)
    check_driver(target)
    if source and is_sqlite(target):
        raise InputError(f"--from {source} is PostgreSQL's; give --workload or --sql for a SQLite file")
    workload = _workload(store, since, sql, target, top)
    from dbperf.analysis import analyze as run

    with steps() as step:
        report = run(
            workload,
            target,
            environment=environment,
            verify=verify,
            top=None if sql else top,
            store=store or "",
            select=select or None,
            ignore=ignore or None,
            progress=step,
        )
    write_report(report, form, output)
    unreadable = _unreadable(report) if sql else 0
    context.exit(2 if unreadable else exit_code(report, fail_on))


def _workload(store: str | None, since: str | None, sql: Path | None, target: str, top: int) -> Workload:
    if store:
        return _stored(store, since, top)
    return _given(sql, target) if sql else _counted(target, top)


def _stored(store: str, since: str | None, top: int) -> Workload:
    from dbperf.workload.file import load

    if not since:
        return load(store, detailed=top)
    start = time_of(since)
    workload = load(store, start, detailed=top)
    note = f"of the store, only what ran since {datetime.fromtimestamp(start):%Y-%m-%d %H:%M}"
    return replace(workload, notes=(*workload.notes, note))


def _given(sql: Path, target: str) -> Workload:
    from dbperf.workload.sources.sql_files import read_sql

    return read_sql(sql, "sqlite" if is_sqlite(target) else "postgresql")


def _counted(target: str, top: int) -> Workload:
    from dbperf.plans.connect import connect
    from dbperf.workload.sources.pg_stat_statements import read_pg_stat_statements

    with closing(connect(target)) as connection:
        return read_pg_stat_statements(connection, top=top)


def _unreadable(report: Report) -> int:
    """Statements of a .sql file that are no SQL: one line each on stderr, after the report of the others."""
    sites = {each.statement.fingerprint: each.statement.call_sites for each in report.statements}
    broken = [each for each in report.coverage.skipped if each.syntax_error]
    for each in broken:
        place = next((f"{site.file}:{site.line}: " for site in sites[each.fingerprint]), "")
        click.echo(f"dbperf: {place}{each.reason}", err=True)
    return len(broken)
