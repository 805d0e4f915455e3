"""`dbperf doctor`: look a database over."""

from __future__ import annotations

import click

from dbperf.cli.driver import check_driver
from dbperf.cli.output import stdout
from dbperf.errors import ConnectError, InputError
from dbperf.model.checkup import Status

FORMATS = ("terminal", "json")


@click.command(short_help="Look a database over.")
@click.argument("target", metavar="DSN")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
@click.pass_context
def doctor(context: click.Context, target: str, form: str) -> None:
    """Look a database over: what hides the truth from dbperf, and the statement that mends it.

    DSN is a libpq string, a postgresql:// or a sqlite:// URL. Nothing is changed. Exits with 1 where dbperf
    cannot do its work on this database.
    """
    check_driver(target)
    from dbperf.plans.doctor import checkup as look_over
    from dbperf.report import checkup as report
    from dbperf.report.terminal import line_width, open_console, print_lines

    try:
        found = look_over(target)
    except (InputError, ConnectError) as error:  # which say what option the address is of elsewhere
        raise type(error)(str(error).removeprefix("--db: ")) from None
    with stdout() as file:
        if form == "json":
            file.write(report.render_json(found))
        else:
            console = open_console(file)
            print_lines(report.lines(found, line_width(console)), console)
    context.exit(int(found.worst is Status.ERROR))
