"""The plan of a statement on a copy, and its work, counted.

SQLite's planner prints no cost, and none is made up here: on a copy a statement can be executed, so the
steps of SQLite's virtual machine are counted. They are the same at every run, whatever else the machine
does. They are no time: one step may descend a whole B-tree.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from time import monotonic
from typing import Any

from dbperf.errors import ConnectError, StatementError
from dbperf.model.plan import PlanNode
from dbperf.plans.sqlite.nodes import plan_nodes
from dbperf.plans.target import SYNTAX_ERROR

STEPS = 1_000
"""Steps are counted in thousands, rounded up: less is not worth telling apart."""
MAX_STEPS = 20_000_000
"""Counting ends there (about a second); what is counted is then at least the number said."""
MAX_SECONDS = 10.0

TIMEOUT = "57014"
"""The sqlstate of what ran for too long, as PostgreSQL has it."""

_NUMBER = re.compile(r"\$(\d+)")


def query_plan(
    copy: sqlite3.Connection, sql: str, parameters: Sequence[Any] | None, names: Mapping[str, str]
) -> tuple[PlanNode, ...]:
    """The plan of a statement, `$n` placeholders, NULLs for no `parameters`; see nodes.plan_nodes.

    Raises StatementError.
    """
    with refusals():
        rows = copy.execute(f"EXPLAIN QUERY PLAN {sql}", bound(sql, parameters)).fetchall()
    return plan_nodes(rows, names)


def count_steps(copy: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> tuple[int, int]:
    """Execute a statement, undo what it wrote, and say how many steps it took and how many rows came.

    Steps are rounded up to whole thousands, and are at most MAX_STEPS. Raises StatementError.
    """
    counted = 0

    def step() -> bool:
        nonlocal counted
        counted += STEPS
        return counted >= MAX_STEPS

    rows = 0
    try:
        with _undone(copy), watched(copy, MAX_SECONDS, step):
            for _ in copy.execute(sql, bound(sql, parameters)):
                rows += 1
    except StatementError as error:
        if error.sqlstate != TIMEOUT or counted < MAX_STEPS:
            raise
    return min(counted + STEPS, MAX_STEPS), rows


@contextmanager
def executions(
    copy: sqlite3.Connection, sql: str, parameters: Sequence[Any], timeout: float
) -> Iterator[Callable[[], None]]:
    """See whatif.Build.executions."""

    def run() -> None:
        with watched(copy, timeout):
            for _ in copy.execute(sql, values):
                pass

    values = bound(sql, parameters)
    with _undone(copy):
        yield run


@contextmanager
def _undone(copy: sqlite3.Connection) -> Iterator[None]:
    """What is written within is rolled back; a write that is interrupted has done that itself."""
    inside = copy.in_transaction
    copy.execute("SAVEPOINT dbperf")
    try:
        yield
    finally:
        if copy.in_transaction:
            copy.execute("ROLLBACK TO dbperf")
            copy.execute("RELEASE dbperf")
        elif inside:
            raise StatementError("the transaction around it was lost")


@contextmanager
def watched(
    copy: sqlite3.Connection, seconds: float, stop: Callable[[], bool] = lambda: False, about: str = ""
) -> Iterator[None]:
    """What runs within ends after `seconds`, or when `stop`, asked every thousand steps, says so.

    Raises StatementError, whose reason begins with `about`.
    """
    deadline = monotonic() + seconds
    copy.set_progress_handler(lambda: stop() or monotonic() > deadline, STEPS)
    try:
        with refusals(about):
            yield
    finally:
        copy.set_progress_handler(None, 0)


def bound(sql: str, parameters: Sequence[Any] | None) -> dict[str, Any]:
    """Values for the `$n` of `sql`, as sqlite3 binds names."""
    if parameters is None:
        return dict.fromkeys(_NUMBER.findall(sql))
    return {str(number): _value(each) for number, each in enumerate(parameters, start=1)}


def _value(value: Any) -> Any:
    # As sqlite3's own adapters write them, which are deprecated.
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else value


@contextmanager
def refusals(about: str = "") -> Iterator[None]:
    """Errors of SQLite as StatementError, its reason begun with `about`; ConnectError of a damaged file."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _failure(error, about) from None
    except (OverflowError, ValueError):  # an integer of more than 64 bits, a surrogate, a NUL in the text
        raise StatementError(f"{about}it, or a value of it, has no form in SQLite") from None


def _failure(error: sqlite3.Error | sqlite3.Warning, about: str) -> ConnectError | StatementError:
    # Messages of SQLite name tables and columns, and repeat no values.
    code = getattr(error, "sqlite_errorname", "")
    message = " ".join(str(error).split())
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return ConnectError(f"the database is damaged: {message}")
    if code == "SQLITE_INTERRUPT":
        return StatementError(f"{about}it ran for too long", TIMEOUT)
    if any(words in message for words in ("syntax error", "unrecognized token", "incomplete input")):
        return StatementError(f"{about}SQLite finds a syntax error: {message}", SYNTAX_ERROR)
    if code == "SQLITE_AUTH":
        return StatementError(f"{about}it reaches outside of the database ({message})")
    if code.startswith("SQLITE_CONSTRAINT"):
        return StatementError(f"{about}on the copy, with the values known, it fails: {message}")
    return StatementError(about + message)
