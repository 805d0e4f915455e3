"""EXPLAIN QUERY PLAN as a plan tree, and the work of a statement, counted.

SQLite's planner prints no cost, and none is made up here: on a copy a statement can be executed, so the
steps of SQLite's virtual machine are counted. They are the same at every run, whatever else the machine
does. They are no time: one step may descend a whole B-tree.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from time import monotonic
from typing import Any

from dbperf.errors import ConnectError, StatementError
from dbperf.model.plan import PlanNode
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
    """The top nodes of `EXPLAIN QUERY PLAN sql`, `$n` placeholders, NULLs for no `parameters`.

    Plans call a table by its alias; `names` are the tables by alias, in lower case. Raises StatementError.
    """
    with refusals():
        rows = copy.execute(f"EXPLAIN QUERY PLAN {sql}", bound(sql, parameters)).fetchall()
    return _children(0, [(row[0], row[1], row[3]) for row in rows], names)


def _children(
    parent: int, rows: Sequence[tuple[int, int, Any]], names: Mapping[str, str]
) -> tuple[PlanNode, ...]:
    return tuple(
        _node(_text(detail), _children(number, rows, names), names)
        for number, above, detail in rows
        if above == parent
    )


# SCAN [TABLE] name [AS alias] [USING …] [(condition)]: TABLE and AS until 3.35.
_ACCESS = re.compile(
    r"(?P<verb>SCAN|SEARCH) (?:TABLE |SUBQUERY )?(?P<name>.+?)(?: AS (?P<alias>.+?))?"
    r"(?: VIRTUAL TABLE INDEX .*?)?(?: USING (?P<using>.+?))?(?: \((?P<condition>.+)\))?"
    r"(?: (?:LEFT|RIGHT)-JOIN| EXISTS)*"
)
_CONSTANT = re.compile(r"SCAN (?:\d+ )?CONSTANT ROWS?")


def _node(detail: str, children: tuple[PlanNode, ...], names: Mapping[str, str]) -> PlanNode:
    found = None if _CONSTANT.fullmatch(detail) else _ACCESS.fullmatch(detail)
    if found is None:
        return PlanNode(kind=_sentence(detail), children=children)
    name = found["name"].removeprefix("main.")
    using = found["using"] or ""
    index = using.removeprefix("COVERING ")
    covering = "Covering " if using.startswith("COVERING ") else ""
    return PlanNode(
        kind=covering + found["verb"].capitalize(),
        relation=names.get(name.lower(), name),
        alias=found["alias"] or name,
        index=index.removeprefix("INDEX "),
        condition=found["condition"] or "",
        children=children,
    )


def _sentence(detail: str) -> str:
    """SQLite's words in the case of the other nodes: a name in them keeps its own."""
    words = (
        word.lower() if word.isupper() and word not in {"OR", "B-TREE"} else word for word in detail.split()
    )
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


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
    # As SQLAlchemy's dialect writes them; sqlite3's own adapters are deprecated.
    if isinstance(value, time):
        return value.isoformat()
    return value.isoformat(*(" ",) if hasattr(value, "hour") else ()) if isinstance(value, date) else value


@contextmanager
def refusals(about: str = "") -> Iterator[None]:
    """Errors of SQLite as StatementError, its reason begun with `about`; ConnectError of a damaged file."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _failure(error, about) from None


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
