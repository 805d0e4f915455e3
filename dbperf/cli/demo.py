"""`dbperf demo`: the main job on an embedded default, from an app's queries to a proven change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from dbperf.cli.output import check_output, output_options, write_report
from dbperf.errors import InputError

if TYPE_CHECKING:
    from dbperf.embedded import Server
    from dbperf.model.report import Report
    from dbperf.model.workload import Workload

Tell = Callable[[float, str], None]
"""Called with the share of a phase that is done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True)
class _Phase:
    name: str
    weight: float
    """Its share of the demo's run time, as measured."""


_LOAD = _Phase("loading the shop", 0.2)
_BEFORE = _Phase("running the shop", 0.3)
_ANALYZE = _Phase("analyzing", 0.3)
_APPLY = _Phase("applying the advice", 0.1)
_AFTER = _Phase("running the shop again", 0.1)
_PHASES = (_LOAD, _BEFORE, _ANALYZE, _APPLY, _AFTER)


@click.command(short_help="See it all on a PostgreSQL of its own.")
@click.option("--keep", is_flag=True, help="Keep the database running afterwards, and say how to connect.")
@output_options
def demo(keep: bool, form: str, output: Path | None) -> None:
    """A shop with real traffic on a PostgreSQL of its own: advice, applied there, measured again."""
    check_output(output)
    from dbperf.analysis import replayed
    from dbperf.embedded import start

    shop = _shop()
    with _bar() as enter, start(databases=("shop",), settings=_SERVER) as server:
        _load(shop, server, enter(_LOAD))
        before = _traffic(shop, server, enter(_BEFORE))
        report = _analyze(before, server, enter(_ANALYZE))
        _apply(report, server, enter(_APPLY))
        report = replayed(report, _traffic(shop, server, enter(_AFTER)))
        how_to_stop = server.keep() if keep else ""
    write_report(report, form, output)
    if form == "terminal":
        click.echo(_NEXT, err=True)
    if keep:
        address = server.url(database="shop").replace("+psycopg", "")  # psql's form, and --db's
        click.echo(f"\nThe shop is still there:\n  psql '{address}'\nStop it and remove its data:", err=True)
        click.echo(f"  {how_to_stop}", err=True)


_NEXT = """
Next, your own application, on an engine of dbperf.create_engine(url):
  dbperf.perf(engine).save("app.sqlite")                     # when it has worked for a while
  dbperf analyze --db URL --workload app.sqlite"""

# Caches that hold the shop, nothing at work in the background, and no parallel scans: requests come several
# at a time, as on a busy server, where the cores are shared already.
_SERVER = {"shared_buffers": "256MB", "autovacuum": "off", "max_parallel_workers_per_gather": "0"}


def _shop() -> ModuleType:
    """The example program: beside the package in a wheel, in examples/ in a clone."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_shop", package.parent / "examples"):
        if (folder / "shop" / "traffic.py").is_file():
            sys.path.insert(0, str(folder))
            try:
                import_module("shop.load")
                import_module("shop.traffic")
                return import_module("shop")
            finally:
                sys.path.remove(str(folder))
    raise InputError("the example shop is not installed: reinstall dbperf")


def _load(shop: ModuleType, server: Server, tell: Tell) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(server.url("psycopg", "shop"))
    try:
        shop.load.load(engine, progress=lambda done, total, what: tell(done / total, what))
    finally:
        engine.dispose()


def _traffic(shop: ModuleType, server: Server, tell: Tell) -> Workload:
    """Run the shop's traffic on instrumented engines; what they saw."""
    import dbperf
    from dbperf.workload.fold import merge

    settings = dbperf.Settings(
        enabled=True, capture_parameters=True, app_prefixes=(str(Path(shop.__path__[0]).resolve()),)
    )
    engine = dbperf.create_engine(server.url("psycopg", "shop"), dbperf=settings)
    async_engine = dbperf.create_async_engine(server.url("asyncpg", "shop"), dbperf=settings)
    try:
        shop.traffic.run(engine, async_engine, progress=lambda done, total, what: tell(done / total, what))
        return merge([dbperf.perf(engine).workload(), dbperf.perf(async_engine).workload()])
    finally:
        engine.dispose()


def _analyze(workload: Workload, server: Server, tell: Tell) -> Report:
    from dbperf.analysis import analyze

    return analyze(
        workload,
        server.dsn("shop"),
        environment="disposable",
        verify=True,
        progress=lambda share, what: tell(share, what),
    )


def _apply(report: Report, server: Server, tell: Tell) -> None:
    import psycopg

    ddl = [statement for each in report.recommendations if each.proven for statement in each.ddl]
    with psycopg.connect(server.dsn("shop"), autocommit=True) as connection:
        for number, statement in enumerate(ddl):
            tell(number / len(ddl), statement)
            connection.execute(statement.encode())
        connection.execute("ANALYZE")


@contextmanager
def _bar() -> Iterator[Callable[[_Phase], Tell]]:
    """One progress bar over all phases, on stderr, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting PostgreSQL", total=1.0)

        def enter(phase: _Phase) -> Tell:
            done = sum(each.weight for each in _PHASES[: _PHASES.index(phase)])

            def tell(share: float, what: str) -> None:
                text = f"{phase.name}: {what}"[:60]
                progress.update(task, completed=done + share * phase.weight, description=escape(text))

            tell(0.0, "…")
            return tell

        yield enter
