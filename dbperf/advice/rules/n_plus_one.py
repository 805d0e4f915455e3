"""DBP401 n-plus-one: a statement runs once for each of many parents where one statement would do for all.

**Why it matters.** Each execution is a round trip: the network, the driver and the database's own overhead,
for a few rows. Their number grows with the data, so a page that was fast with 3 orders sends 300 statements
for 300.

**How it is found.** First by what SQLAlchemy's ORM knows: a statement that loads one relationship of one
parent (a lazy load), or columns of one instance (deferred, expired, of a subclass), 3 times or more from
one line in one operation. An operation is a request, or what `dbperf.track` says; where none is open, one
use of a connection. Second by the text: a read-only SELECT with an equality on a parameter that runs 5
times or more on average, with different parameters, from one line in one operation. What a loader reads for
many parents at once is none, however many statements it takes (`selectinload` asks for 500 parents at a
time); nor are an IN list, which is a batch already, a page (OFFSET, or a range with LIMIT), or writes.

**What to do.** The finding names the option to add and the query to add it to. `joinedload` is advised for
one instance, `selectinload` for collections, which a join would repeat the parent's row for. A tree that is
walked downwards takes `recursion_depth=-1`. Behind `immediateload` it is the same: one statement for each
parent.

**How it is priced.** All executions but one for each operation are spared, each at the least that a round
trip to that database was measured to take: a lower bound. Nothing is executed to prove it, so a finding is
`estimated`.

**What to weigh.** A loader reads what belongs to all parents, whether it is looked at or not. Where few
parents of many are asked, leave it, or load for those few. `raiseload` makes sure that nothing is loaded by
accident.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dbperf.advice.access import Traffic, Use, case, operations, recommendation, stable, tables, where
from dbperf.model.facts import Role, StatementFacts
from dbperf.model.recommendation import Recommendation
from dbperf.model.workload import FEWEST, Access, CallSite
from dbperf.report.format import plural

CODE, SLUG = "DBP401", "n-plus-one"

FEWEST_IN_A_LOOP = 5
"""Executions in an operation, on average, where only the text tells; where the ORM does, it is `FEWEST`."""

_KINDS = {"lazy": FEWEST, "column": FEWEST, "loop": FEWEST_IN_A_LOOP}
_DEEP = 5
"""Lazy loads within lazy loads that are followed."""
_RISK = "reads what belongs to every parent of that query, whether it is looked at or not"


def recommend(traffic: Traffic) -> Iterator[Recommendation]:
    """A recommendation for each relationship, or repeated SELECT, and function of the application."""
    found: dict[str, list[Use]] = {}
    for statement, facts in traffic.uses:
        for access in statement.accesses:
            if repeats(access, facts):
                use = Use(statement, facts, access, access.calls - access.operations)
                found.setdefault(_key(use), []).append(use)
    lazy = {
        _line(use.access.site): use.access for uses in found.values() for use in uses if use.access.loader
    }
    for key, uses in found.items():
        accesses = [each.access for each in uses]
        is_lazy = accesses[0].kind == "lazy"
        yield recommendation(
            f"{CODE}:{key}",
            SLUG,
            case(uses, traffic),
            traffic,
            title=f"{_what(uses[0])} one by one: {_loads(accesses)} in {operations(accesses)}",
            fix=_option(accesses[0], lazy) if is_lazy else _other(uses[0]),
            risk=_RISK if is_lazy else "",
        )


def repeats(access: Access, facts: StatementFacts) -> bool:
    fewest = _KINDS.get(access.kind)
    if fewest is None or access.calls < fewest * max(access.operations, 1):
        return False
    return access.kind != "loop" or _looks_up(facts)


def _looks_up(facts: StatementFacts) -> bool:
    """Whether it reads what belongs to one value: an equality on a parameter, and no page of many.

    Capture leaves out what has an OFFSET: SQLAlchemy sends one to SQLite behind every LIMIT.
    """
    uses = [use for column in facts.columns for use in column.uses if use.parameter is not None]
    paged = facts.limit and any(use.role is Role.RANGE for use in uses)
    equal = any(use.role is Role.EQUALITY and use.conjunct for use in uses)
    return facts.kind == "select" and facts.read_only and bool(facts.tables) and equal and not paged


def _key(use: Use) -> str:
    return f"{use.access.loader or use.statement.fingerprint}@{stable(use.access.site)}"


def _what(use: Use) -> str:
    loader = use.access.loader
    if attribute := re.search(r"(?:load|undefer)\((\w+\.\w+)[^()]*\)$", loader):
        return f"{attribute[1]} is loaded"
    if subclass := re.search(r"\[(\w+)\]\)$", loader):
        return f"the columns of {subclass[1]} are loaded"
    if model := re.match(r"select\((\w+)\)", loader):
        return f"{model[1]} is refreshed"
    named = ", ".join(tables([use.facts])) or "the same"
    return f"expired {named} is read again" if loader else f"{named} is read"


def _loads(accesses: Sequence[Access]) -> str:
    return plural(sum(each.calls for each in accesses), "load" if accesses[0].loader else "statement")


def _option(access: Access, lazy: Mapping[object, Access]) -> str:
    loader, parent = access.loader, access.parent
    for _ in range(_DEEP):  # what loads the parents is a lazy load itself: one option loads all
        outer = lazy.get(_line(parent))
        if outer is None or outer.kind != "lazy" or outer is access or _line(outer.parent) == _line(parent):
            break
        loader, parent = f"{outer.loader}.{loader}", outer.parent
    return f"{where(parent)}add .options({loader}) to the query that loads the parents"


def _other(use: Use) -> str:
    """What to write for what is no relationship."""
    access, loader = use.access, use.access.loader
    if not loader:
        together = f"WHERE {_asked(use.facts)} IN (…) in one statement"
        return f"{where(access.site)}read all at once: {together}"
    if loader.startswith("select("):
        return f"{where(access.site)}refresh them together: session.execute({loader}.where(…))"
    if loader.startswith("expire_on_commit"):
        return f"make the session with {loader}, or read what is needed before the commit"
    return f"{where(access.parent)}add .options({loader}) to the query that loads them"


def _asked(facts: StatementFacts) -> str:
    for column in facts.columns:
        if any(use.role is Role.EQUALITY and use.parameter is not None for use in column.uses):
            return f"{column.table.name}.{column.name}" if column.table else column.name
    return "…"


def _line(site: CallSite | None) -> object:
    return (site.file, site.line) if site else None
