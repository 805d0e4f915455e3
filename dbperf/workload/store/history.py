"""What was advised, run after run, and what became of it."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, select, update

from dbperf.errors import InputError
from dbperf.model.recommendation import Recommendation
from dbperf.model.report import Report
from dbperf.workload.store import tables
from dbperf.workload.store.read import opened
from dbperf.workload.store.rows import Row, put


class State(StrEnum):
    """What became of a recommendation."""

    OPEN = "open"
    APPLIED = "applied"
    """No longer found, and what it asked for is there."""
    GONE = "gone"
    """No longer found: the statements went, or changed."""
    DISMISSED = "dismissed"
    """Somebody decided against it; stays so when it is found again."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation for a target as it stands; `since` is when it came into its state, seconds since 1970.

    `reason` is why it was dismissed.
    """

    target: str
    id: str
    code: str
    title: str
    ddl: tuple[str, ...]
    state: State
    since: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """An analysis: when it ended, seconds since 1970, and its report as a JSON text."""

    at: float
    report: str


def remember(
    where: str | os.PathLike[str], report: Report, document: str, is_applied: Callable[[Advice], bool]
) -> dict[str, State]:
    """Keep a run of an analysis: its report as `document`, a JSON text, and the evidence of its findings.

    Returns the state of each recommendation for that target, by id. What was open and is no longer found is
    asked about by `is_applied`: whether what it asked for is there. It stays open where the store has
    statements of it that this run did not judge. Raises StoreError.
    """
    now, run_id, target = time.time(), secrets.randbits(63), report.target.database
    run = {"id": run_id, "at": int(now * 1e6), "target": target, "report": document}
    server = {"environment": report.target.environment, "server_version": report.target.server_version}
    found = {each.id: each for each in report.recommendations}
    evidence = {key: json.dumps(asdict(each)) for key, each in found.items()}
    with opened(where, "maintain") as connection:
        # Of ten thousand statements a report is 8 MB: earlier runs keep their evidence, and no report.
        earlier = update(tables.run).where(tables.run.c.target == target, tables.run.c.report != "")
        connection.execute(earlier.values(report=""))
        put(connection, tables.run, [run | server])
        rows = [{"run_id": run_id, "recommendation_id": key, "evidence": evidence[key]} for key in found]
        put(connection, tables.finding, rows)
        known = {each.id: each for each in _advice(connection, target)}
        after = {key: _found(known.get(key), each, target, now) for key, each in found.items()}
        for each in known.values():
            if each.id not in found and each.state is State.OPEN:
                after[each.id] = _missing(connection, each, report, is_applied, now)
        put(connection, tables.recommendation, [_row(each) for each in after.values()])
    return {key: each.state for key, each in (known | after).items()}


def recommendations(where: str | os.PathLike[str], target: str | None = None) -> list[Advice]:
    """What was advised, for one target or all; what is open first, then the latest. Raises StoreError."""
    with opened(where) as connection:
        return advice(connection, target)


def advice(connection: Connection, target: str | None = None) -> list[Advice]:
    """The same over a connection, inside a transaction."""
    order = list(State)
    known = _advice(connection, target)
    return sorted(known, key=lambda each: (order.index(each.state), -each.since, each.title, each.target))


def dismiss(where: str | os.PathLike[str], recommendation: str, reason: str) -> None:
    """Decide against a recommendation, for all targets. Raises InputError when the store knows none such."""
    _decide(where, recommendation, State.DISMISSED, reason)


def reopen(where: str | os.PathLike[str], recommendation: str) -> None:
    """Take a dismissal back. Raises InputError when the store knows no such recommendation."""
    _decide(where, recommendation, State.OPEN, "")


def last_run(where: str | os.PathLike[str], target: str | None = None) -> Run | None:
    """The last run, for one target or all; None where there is none. Raises StoreError."""
    run = tables.run.c
    query = select(run.at, run.report).order_by(run.at.desc()).limit(1)
    if target is not None:
        query = query.where(run.target == target)
    with opened(where) as connection:
        row = connection.execute(query).one_or_none()
        return Run(row.at / 1e6, row.report) if row else None


def _advice(connection: Connection, target: str | None) -> list[Advice]:
    query = select(tables.recommendation)
    if target is not None:
        query = query.where(tables.recommendation.c.target == target)
    rows = connection.execute(query).mappings()
    return [
        Advice(**{**row, "ddl": tuple(json.loads(row["ddl"])), "state": State(row["state"])}) for row in rows
    ]


def _row(each: Advice) -> Row:
    return asdict(each) | {"ddl": json.dumps(each.ddl), "state": each.state.value}


def _found(before: Advice | None, found: Recommendation, target: str, now: float) -> Advice:
    new = Advice(target, found.id, found.code, found.title, found.ddl, State.OPEN, int(now))
    if before is None or before.state not in {State.OPEN, State.DISMISSED}:
        return new
    return replace(new, state=before.state, since=before.since, reason=before.reason)


def _missing(
    connection: Connection,
    before: Advice,
    report: Report,
    is_applied: Callable[[Advice], bool],
    now: float,
) -> Advice:
    if is_applied(before):
        return replace(before, state=State.APPLIED, since=int(now))
    if _unjudged(connection, before, report):
        return before
    return replace(before, state=State.GONE, since=int(now))


def _unjudged(connection: Connection, missing: Advice, report: Report) -> bool:
    """Whether the store has statements that the advice was for and that were not explained in this run."""
    run, finding, statement = tables.run.c, tables.finding.c, tables.statement.c
    query = (
        select(finding.evidence)
        .join_from(tables.finding, tables.run, run.id == finding.run_id)
        .where(run.target == missing.target, finding.recommendation_id == missing.id)
        .order_by(run.at.desc())
        .limit(1)
    )
    advised = json.loads(connection.execute(query).scalar() or "{}")
    judged = {each.statement.fingerprint for each in report.statements if each.cost is not None}
    left = set(advised.get("statements", ())) - judged
    known = select(statement.id).where(statement.fingerprint.in_(left)).limit(1)
    return connection.execute(known).first() is not None


def _decide(where: str | os.PathLike[str], recommendation: str, state: State, reason: str) -> None:
    columns = tables.recommendation.c
    new = {"state": state.value, "reason": reason, "since": int(time.time())}
    with opened(where, "maintain") as connection:
        decided = update(tables.recommendation).where(columns.id == recommendation).values(new)
        if not connection.execute(decided).rowcount:
            raise InputError(f"{recommendation}: no such recommendation in {os.fspath(where)}")
