"""`dbperf explain`: plans to read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dbperf.cli.driver import check_driver
from dbperf.cli.output import stdout
from dbperf.errors import InputError, StatementError, UnsafeError
from dbperf.model.explained import Explained
from dbperf.model.report import ENVIRONMENTS

FORMATS = ("terminal", "json")


@click.command(short_help="Show how a database runs a statement.")
@click.option(
    "--db", "target", required=True, metavar="DSN", help="A libpq string, a postgresql:// or sqlite:// URL."
)
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default=ENVIRONMENTS[0],
    show_default=True,
    help="Statements are never executed in production.",
)
@click.option("--verify", is_flag=True, help="Execute what only reads, and show where the time goes.")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
@click.argument("sql", metavar="SQL|FILE|-")
@click.pass_context
def explain(context: click.Context, target: str, environment: str, verify: bool, form: str, sql: str) -> None:
    """Show how a database runs a statement: a tree, each node with its own part of the cost.

    SQL|FILE|- is the statement, a file of statements, or - for stdin. Placeholders of any driver are given
    values from the table statistics. Exits with 2 if one of them cannot be explained.
    """
    if verify and environment == "production":
        raise UnsafeError("--verify runs statements; point --db at a copy and say --environment staging")
    check_driver(target)
    from dbperf.advice.explained import explained
    from dbperf.plans.target import open_target
    from dbperf.statements import split

    text, name = _read(sql)
    statements = split(text)
    if not statements:
        raise InputError(f"{name or 'SQL'}: no SQL statement in it")
    found: list[Explained] = []
    with open_target(target) as opened:
        for statement, line in statements:
            try:
                found.append(explained(statement, line, opened, execute=verify))
            except StatementError as error:
                place = f"{name}:{line}: " if name else ""
                click.echo(f"dbperf: {place}not explained: {error.reason}", err=True)
            else:
                if form == "terminal":
                    _show(found[-1], first=len(found) == 1)
    if form == "json":
        from dbperf.report.tree import render_json

        with stdout() as file:
            file.write(render_json(opened.catalog.database, found))
    context.exit(2 if len(found) < len(statements) else 0)


def _read(argument: str) -> tuple[str, str]:
    """The SQL that an argument means, and the file it is from."""
    from dbperf.workload.sources.sql_files import decoded, read_text

    if argument == "-":
        return decoded(sys.stdin.buffer.read() if sys.stdin else b"", "stdin"), "stdin"
    path = Path(argument)
    if argument.strip() and _exists(path):
        return read_text(path), argument
    if len(argument.split()) == 1 and (path.suffix or "/" in argument):
        raise InputError(f"{argument}: there is no such file, and it is no SQL statement")
    return argument, ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a statement: too long for a name, or with a NUL in it
        return False


def _show(explained: Explained, *, first: bool) -> None:
    from dbperf.report.terminal import line_width, open_console, print_lines
    from dbperf.report.tree import lines

    with stdout() as file:
        console = open_console(file)
        if not first:
            console.print()
        print_lines(lines(explained, line_width(console)), console)
