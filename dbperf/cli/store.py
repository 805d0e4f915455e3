"""`dbperf store`: look after the history of a workload."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from dbperf.report.format import plural, size
from dbperf.settings import resolve

if TYPE_CHECKING:
    from dbperf.workload.store.info import Info

_DAY, _HOUR = 86400, 3600
_SHOWN = 10


@click.group(short_help="Look after a history store.")
def store() -> None:
    """Look after a store: the history that programs write with DBPERF_STORE, or a file that record wrote.

    STORE is a file or a postgresql:// URL; without it, what DBPERF_STORE or [tool.dbperf] says, or else
    dbperf.sqlite.
    """


def _default() -> str:
    return resolve().store or "dbperf.sqlite"


def _argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("store", default=_default, metavar="[STORE]")(command)


@store.command(short_help="Make a store, or bring its tables up to date.")
@_argument
@click.option("--to", "revision", metavar="REVISION", help="A revision of the schema, an earlier one too.")
def upgrade(store: str, revision: str | None) -> None:
    """Make a store, or bring its tables to this dbperf's schema. Programs may go on writing."""
    from dbperf.workload.store.tables import HEAD
    from dbperf.workload.store.upgrade import upgrade as run

    before, after = run(store, revision or HEAD)
    if before == after:
        said = f"is of schema {after} already"
    else:
        said = f"schema {before} -> {after}" if before else f"made, schema {after}"
    click.echo(f"dbperf: {_label(store)}: {said}", err=True)


def _kept(name: str, default: int, unit: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    what = f"How many {unit} {name} are kept as they are."
    number = click.IntRange(1)
    return click.option(f"--{name}", type=number, default=default, show_default=True, metavar="N", help=what)


@store.command(short_help="Roll up and drop what is old; for cron, every hour.")
@_argument
@_kept("minutes", 2, "hours")
@_kept("hours", 2, "days")
@_kept("days", 90, "days")
def prune(store: str, minutes: int, hours: int, days: int) -> None:
    """Roll up minutes into hours and hours into days, and drop old days. To be run every hour.

    Programs may go on writing.
    """
    from dbperf.workload.store.prune import Retention
    from dbperf.workload.store.prune import prune as run

    done = run(store, Retention(minutes * _HOUR, hours * _DAY, days * _DAY))
    rolled = f"{plural(done.minutes, 'minute row')} and {plural(done.hours, 'hour row')} rolled up"
    expired = f"{plural(done.days, 'day row')} and {plural(done.statements, 'statement')} dropped"
    click.echo(f"dbperf: {_label(store)}: {rolled}, {expired}", err=True)


@store.command(short_help="Add files, stores, or what record left behind.")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--into", default=_default, metavar="STORE")
def merge(sources: tuple[str, ...], into: str) -> None:
    """Add workload files, other stores, or folders that an interrupted record left. Twice is harmless."""
    from dbperf.workload.store.merge import merge as run

    for source in sources:
        done = run(into, source)
        said = f"{plural(done.calls, 'call')} of {plural(done.statements, 'statement')}"
        click.echo(f"dbperf: {_label(source)}: {said} merged into {_label(into)}", err=True)
        for path in done.skipped:
            click.echo(f"dbperf: {path}: not a spool, skipped", err=True)
        if done.torn:
            click.echo(f"dbperf: {source}: {plural(done.torn, 'line')} torn and lost", err=True)


@store.command(short_help="Say what is in a store.")
@_argument
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def info(store: str, form: str) -> None:
    """Say what is in a store, who writes, and what is due."""
    from dbperf.workload.store.info import info as look

    found = look(store)
    click.echo(json.dumps(asdict(found), indent=2) if form == "json" else "\n".join(_lines(found)))


@store.command(short_help="Decide against a recommendation.")
@click.argument("recommendation")
@_argument
@click.option("--reason", default="", help="Why; kept with it.")
@click.option("--reopen", is_flag=True, help="Take it back.")
def dismiss(recommendation: str, store: str, reason: str, reopen: bool) -> None:
    """Decide against a recommendation, by the id that `store info` shows. It stays dismissed when it is found
    again.
    """
    from dbperf.workload.store import history

    if reopen:
        history.reopen(store, recommendation)
    else:
        history.dismiss(store, recommendation, reason)
    click.echo(f"dbperf: {recommendation} is {'open again' if reopen else 'dismissed'}", err=True)


def _lines(found: Info) -> list[str]:
    calls = f"{plural(found.calls, 'call')} of {plural(found.statements, 'statement')}"
    calls += f" in {plural(found.operations, 'operation')}" if found.operations else ""
    lines = [f"{found.store}: {calls}, {size(found.size_bytes)}, schema {found.schema}", ""]
    for each in found.windows:
        span = f"  {_time(each.since)} to {_time(each.until)}" if each.since and each.until else ""
        due = f", {each.due:,} due" if each.due else ""
        lines.append(f"  {each.name:<7}{plural(each.rows, 'row'):>14}{span}{due}")
    lines.append("")
    alive = f"{len(found.writers)} of them in the last hour" if found.processes else "none yet"
    lines.append(f"  written by {plural(found.processes, 'process')}, {alive}")
    lines += [f"    {_time(each.seen)}  {each.host} {each.pid}" for each in found.writers[:_SHOWN]]
    due = "; run dbperf store prune" if any(each.due for each in found.windows) else ""
    lines.append(f"  pruned: {_time(found.pruned_at) if found.pruned_at else 'never'}{due}")
    return lines + _advice_lines(found)


def _advice_lines(found: Info) -> list[str]:
    if not found.recommendations:
        return []
    states = Counter(each.state for each in found.recommendations)
    lines = ["", f"  advised: {', '.join(f'{number} {state}' for state, number in states.items())}"]
    opened = [each for each in found.recommendations if each.state == "open"]
    lines += [f"    {each.id}  {each.title}  ({each.target})" for each in opened[:_SHOWN]]
    return lines


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def _label(store: str) -> str:
    from dbperf.workload.store.connect import place_of

    return place_of(store).label
