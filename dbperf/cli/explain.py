"""`dbperf explain`: plans to read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dbperf.errors import InputError, StatementError, UnsafeError
from dbperf.model.explained import Explained
from dbperf.model.plan import Plan
from dbperf.model.report import ENVIRONMENTS

FORMATS = ("terminal", "json")
RUN_TIMEOUT_MS = 30_000


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
    from dbperf.statements import split

    text, name = _read(sql)
    statements = split(text)
    if not statements:
        raise InputError(f"{name or 'SQL'}: no SQL statement in it")
    found: list[Explained] = []
    with _reader(target, verify) as opened:
        database, read = opened
        for statement, line in statements:
            try:
                found.append(read(statement, line))
            except StatementError as error:
                place = f"{name}:{line}: " if name else ""
                click.echo(f"dbperf: {place}not explained: {error.reason}", err=True)
            else:
                if form == "terminal":
                    _show(found[-1], first=len(found) == 1)
    if form == "json":
        from dbperf.report.tree import render_json

        click.echo(render_json(database, found), nl=False)
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


@contextmanager
def _reader(url: str, verify: bool) -> Iterator[tuple[str, Callable[[str, int], Explained]]]:
    """The database's name, and what explains a statement of it, given with its line."""
    from dbperf.advice.explained import explained, given
    from dbperf.plans.explain import explain_executed
    from dbperf.plans.postgres import open_postgres
    from dbperf.plans.sqlite.target import open_sqlite
    from dbperf.plans.target import is_sqlite

    if is_sqlite(url):
        if verify:
            raise InputError(
                "--verify times statements on PostgreSQL alone, SQLite does not tell its nodes apart"
            )
        with open_sqlite(url) as file:

            def read_file(sql: str, line: int) -> Explained:
                statement = given(sql, "sqlite")
                return explained(statement, line, file.facts(statement), file.catalog, file.plan)

            yield file.catalog.database, read_file
        return
    with open_postgres(url) as server:

        def execute(sql: str, values: Sequence[Any]) -> Plan:
            return explain_executed(server.connection, sql, values, RUN_TIMEOUT_MS)

        def read(sql: str, line: int) -> Explained:
            statement = given(sql, "postgresql")
            facts = server.facts(statement)
            run = execute if verify else None
            return explained(statement, line, facts, server.catalog, server.explain, run)

        yield server.catalog.database, read


def _show(explained: Explained, *, first: bool) -> None:
    from dbperf.report.terminal import line_width, open_console, print_lines
    from dbperf.report.tree import lines

    console = open_console(sys.stdout)
    if not first:
        console.print()
    print_lines(lines(explained, line_width(console)), console)
