"""Whether the calls that were recorded are in the server's own counters, which count those of all clients."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from dbperf.model.checkup import Check, Status
from dbperf.model.workload import Workload
from dbperf.plans.connect import Connection, database_of
from dbperf.plans.doctor.calls import Comparison, compare
from dbperf.plans.doctor.words import counted, listed
from dbperf.plans.target import alike
from dbperf.workload.sources.counters import Counters, read_counters
from dbperf.workload.sources.pg_stat_statements import EXTENSION, obstacle, read_all_stats

_NAME = "calls-reconcile"
_WHY = "it is what tells whether dbperf sees every call that the application makes"
_DIFFERS = "what dbperf recorded and what --from pg_stat_statements reads are different parts of the truth"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A workload; by `by`, in seconds since 1970, some of it had run. None: it is empty."""

    workload: Workload
    by: float | None


def reconciling(recorded: Recorded) -> Callable[[Connection], Check]:
    """The check for one workload."""

    def calls_reconcile(connection: Connection) -> Check:
        """Whether each call recorded here was counted here. More is no surprise: others call, too."""
        here = database_of(connection)
        statements = [each for each in recorded.workload.statements if each.dialect == "postgresql"]
        databases = {each.database for each in statements}
        meant = alike(databases, here)
        if not meant:
            others = f"of other databases ({listed(sorted(databases))})" if databases else "empty"
            return Check(_NAME, Status.INFO, f"calls are not compared: the workload is {others}")
        if found := obstacle(connection):
            return Check(
                _NAME, Status.INFO, f"calls are not compared: {found.reason}", _WHY, fixes=found.fixes
            )
        counters = read_counters(connection)
        compared = compare([each for each in statements if each.database in meant], counters)
        left_out = [*_left_out(compared, recorded.workload.coverage.folded_calls)]
        if not compared.calls:
            return Check(_NAME, Status.INFO, "; ".join(("no call is compared", *left_out)))
        if not compared.missing:
            told = (_headline(compared), *_besides(compared, counters), *left_out)
            return Check(_NAME, Status.OK, "; ".join(told))
        reasons = [*_reasons(counters, recorded, connection)]
        return Check(
            _NAME,
            Status.WARNING,
            "; ".join((_headline(compared), _worst(compared), *left_out)),
            "; ".join(reason for reason, _ in reasons) or _unknown(meant - {here}),
            _DIFFERS,
            tuple(fix for _, fix in reasons),
        )

    return calls_reconcile


def _headline(compared: Comparison) -> str:
    of = f"{compared.recorded - compared.missing:,} of {counted(compared.recorded, 'call')}"
    number = counted(compared.statements, "statement")
    return f"{of} of {number} that were recorded are in the server's counters"


def _worst(compared: Comparison) -> str:
    most = max(compared.calls.values(), key=lambda each: each.missing)
    sql = textwrap.shorten(most.sql, 60, placeholder=" …")
    return f"most are missing of {sql}: {most.missing:,} of {most.recorded:,}"


def _besides(compared: Comparison, counters: Counters) -> Iterator[str]:
    """What the server counted and nobody recorded."""
    more = sum(each.others for each in compared.calls.values())
    others = counters.queries - compared.calls.keys()
    parts = [f"{more:,} more of these"] if more else []
    if others:
        calls = sum(counters.calls[each] for each in others)
        queries = "1 other query" if len(others) == 1 else f"{len(others):,} other queries"
        parts.append(f"{calls:,} of {queries}")
    if parts:
        since = f" since {counters.since}" if counters.since else ""
        yield (
            f"besides, the server counted {' and '.join(parts)}{since}: other programs', those of the driver"
            " itself, or from before"
        )


def _left_out(compared: Comparison, folded: int) -> Iterator[str]:
    """What cannot be compared, with the reason."""
    parts = (
        (compared.failed, "that failed, which the server does not count"),
        (compared.long, "whose text is too long to be told by"),
        (compared.commands, f"of commands ({EXTENSION}.track_utility is off)"),
        (folded, "that dbperf kept by no statement (max_statements)"),
    )
    if left := [f"{counted(calls, 'call')} {why}" for calls, why in parts if calls]:
        yield f"not compared: {', '.join(left)}"


def _reasons(counters: Counters, recorded: Recorded, connection: Connection) -> Iterator[tuple[str, str]]:
    """Why calls may be missing on the server, and what to do about each."""
    if counters.reset and recorded.by and counters.reset > recorded.by:
        yield (
            f"the server counts since {counters.since}, and the recording began before that",
            "-- compare what ran since then: --since, or a new recording",
        )
    if counters.forgotten:
        yield (
            f"the server was full and forgot its rarest statements {counters.forgotten:,} times",
            f"-- raise {EXTENSION}.max, and restart the server",
        )
    if counters.hidden:
        yield (
            f"this role may not see the statements of other roles: {counted(counters.hidden, 'call')}",
            read_all_stats(connection),
        )


def _unknown(addresses: Collection[str]) -> str:
    elsewhere = f", such as that of {listed(sorted(addresses))}" if addresses else ", such as a replica"
    return (
        "no reason is known here: the counters of one database or one statement may have been reset, which"
        f" leaves no trace; some may have run on another server{elsewhere}; or the server keeps them with"
        " another text that it parses alike"
    )
