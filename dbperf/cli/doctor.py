"""`dbperf doctor`: look a database over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbperf.cli.driver import check_driver
from dbperf.cli.output import stdout
from dbperf.cli.since import since_option, time_of
from dbperf.errors import ConnectError, InputError
from dbperf.model.checkup import Status

if TYPE_CHECKING:
    from dbperf.plans.doctor.reconcile import Recorded

FORMATS = ("terminal", "json")


@click.command(short_help="Look a database over.")
@click.argument("target", metavar="DSN")
@click.option("--workload", "store", metavar="FILE|URL", help="Compare the calls recorded with the server's.")
@since_option
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
@click.pass_context
def doctor(context: click.Context, target: str, store: str | None, since: str | None, form: str) -> None:
    """Look a database over: what hides the truth from dbperf, and the statement that mends it.

    With --workload, what record, perf.save() or a store kept of this database is held against
    pg_stat_statements: whether the server counted every call, and how many others.

    DSN is a libpq string, a postgresql:// or a sqlite:// URL. Nothing is changed. Exits with 1 where dbperf
    cannot do its work on this database.
    """
    if since and not store:
        raise click.UsageError("--since is for --workload")
    check_driver(target)
    recorded = _recorded(store, time_of(since) if since else None) if store else None
    from dbperf.plans.doctor import checkup as look_over
    from dbperf.report import checkup as report
    from dbperf.report.terminal import line_width, open_console, print_lines

    try:
        found = look_over(target, recorded)
    except (InputError, ConnectError) as error:  # which say what option the address is of elsewhere
        raise type(error)(str(error).removeprefix("--db: ")) from None
    with stdout() as file:
        if form == "json":
            file.write(report.render_json(found))
        else:
            console = open_console(file)
            print_lines(report.lines(found, line_width(console)), console)
    context.exit(int(found.worst is Status.ERROR))


def _recorded(store: str, since: float | None) -> Recorded:
    from dbperf.plans.doctor.reconcile import Recorded
    from dbperf.workload.file import load
    from dbperf.workload.store.read import first_by

    return Recorded(load(store, since, detailed=0), first_by(store, since))
