"""What is told of connection pools and transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from dbperf.model.histogram import Latency
from dbperf.model.pools import Holder, Pool, holders, pools
from dbperf.model.runtime import Figure, Transactions, transactions
from dbperf.model.workload import CallSite
from dbperf.report.allowed import busy_with, limit
from dbperf.report.format import duration, place, plural
from dbperf.report.layout import LABEL, clipped, one_line, paragraph
from dbperf.report.words import database_name

OF_WHOM = "of all processes of the application together"
_SHOWN = 10
_LINES = 3
"""Lines of the application that are named where connections leak."""
_LABELS = 12
"""Cells of the longest label."""


def connections(figures: Sequence[Figure]) -> list[tuple[str, str]]:
    """Labelled sentences, pool after pool; empty where nothing was captured of them."""
    databases = {each.database for each in figures if each.database}
    told: list[tuple[str, str]] = []
    busiest = sorted(pools(figures), key=lambda each: -each.checkouts)
    for pool in busiest[:_SHOWN]:
        told += [("Pool", _pool(pool, len(databases) > 1)), *_of_pool(pool, holders(figures))]
    told.append(("", _more(len(busiest), "pool")))
    ended = transactions(figures)
    for each in ended[:_SHOWN]:
        where = f"{database_name(each.database)}: " if len(databases) > 1 else ""
        told.append(("Transactions", f"{where}{_transactions(each)}"))
    told.append(("", _more(len(ended), "database")))
    return [(label, text) for label, text in told if text]


def connection_lines(told: Sequence[tuple[str, str]], width: int) -> Iterator[Text]:
    """The same on the terminal."""
    yield from paragraph(OF_WHOM, width, Text("Connections  ", "bold"), LABEL)
    for label, text in told:
        yield from paragraph(text, width, Text.assemble((f"{label:<{_LABELS}}", LABEL), "  "))


def _more(number: int, noun: str) -> str:
    more = number - _SHOWN
    return f"and {plural(more, f'more {noun}')}: --format json has them all" if more > 0 else ""


def _pool(pool: Pool, several: bool) -> str:
    where = f" of {database_name(pool.database)}" if several else ""
    limit = f" of {pool.limit:,}" if pool.limit is not None else ""
    most = f", at most {pool.busiest:,}{limit} in use at once in a process" if pool.busiest else ""
    return f"{clipped(one_line(pool.name), 60)}{where}: {plural(pool.checkouts, 'checkout')}{most}"


def _of_pool(pool: Pool, lines: Sequence[Holder]) -> Iterator[tuple[str, str]]:
    refused = f"{plural(pool.refused, 'checkout')} turned away from a full line" if pool.refused else ""
    yield "Limit", limit(pool)
    yield "Wait", _listed(_spent(pool.wait_seconds, pool.wait), _number(pool.timeouts, "timeout"), refused)
    yield "Held", _listed(_spent(pool.held_seconds, pool.held), _raw(pool), busy_with(pool))
    opened = f"{pool.connects:,} opened" if pool.connects else ""
    failed = f"{pool.connect_errors:,} could not be opened" if pool.connect_errors else ""
    yield "Connects", _listed(opened, _spent(pool.connect_seconds, pool.connect), failed)
    yield "Pings", _pings(pool)
    yield "Leaks", _leaks(pool, [each for each in lines if each.database == pool.database])


def _raw(pool: Pool) -> str:
    if not pool.raw_checkouts:
        return ""
    checkouts = plural(pool.raw_checkouts, "checkout")
    return f"{duration(pool.raw_seconds)} of it by {checkouts} that ran no statement through SQLAlchemy"


def _leaks(pool: Pool, lines: Sequence[Holder]) -> str:
    if not pool.leaks:
        return ""
    back = f"{pool.leaks_returned:,} came back" if pool.leaks_returned else "none came back"
    leaking = [each for each in lines if each.leaks]
    taken = ", ".join(_line(each) for each in leaking[:_LINES])
    more = f" and {plural(len(leaking) - _LINES, 'more line')}" if len(leaking) > _LINES else ""
    where = f", taken at {taken}{more}" if taken else ""
    return f"{plural(pool.leaks, 'connection')} held too long{where}; {back}"


def _line(holder: Holder) -> str:
    file, line, function = holder.place
    if not line:
        return "a line that is not known"
    return one_line(f"{place(CallSite(file, line, function, 0))} {clipped(function, 40)}")


def _pings(pool: Pool) -> str:
    spared = f"{pool.spared_pings:,} spared, the connection had just been used" if pool.spared_pings else ""
    if not pool.pings:
        return spared and f"none; {spared}"
    share = f", before {min(pool.pings / pool.checkouts, 1):.0%} of checkouts" if pool.checkouts else ""
    dead = plural(pool.ping_errors, "dead connection") if pool.ping_errors else "no dead connection"
    return _listed(f"{pool.pings:,}{share}", _spent(pool.ping_seconds, pool.ping), f"{dead} found", spared)


def _transactions(each: Transactions) -> str:
    return _listed(
        _ended(each.commits, "commit", each.commit_seconds, each.commit),
        _ended(each.rollbacks, "rollback", each.rollback_seconds, each.rollback),
        f"{each.errors:,} failed" if each.errors else "",
    )


def _ended(number: int, noun: str, seconds: float, latency: Latency) -> str:
    return ", ".join(filter(None, (plural(number, noun), _spent(seconds, latency)))) if number else ""


def _spent(seconds: float, latency: Latency) -> str:
    """The total of a distribution and its 95th percentile; "" where nothing was timed."""
    if not latency.count:
        return ""
    return f"{duration(seconds)} in total, p95 {duration(latency.quantile(0.95))}"


def _number(number: int, noun: str) -> str:
    return plural(number, noun) if number else ""


def _listed(*parts: str) -> str:
    return "; ".join(filter(None, parts))
