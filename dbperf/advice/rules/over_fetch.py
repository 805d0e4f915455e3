"""DBP403 over-fetch: far more is loaded than is read.

**Why it matters.** Rows that nobody reads are found, sent, decoded and thrown away. A relationship that is
loaded along and never looked at is a statement too many, or a join that repeats every row.

**How it is found.** Two ways. *Rows*: of what a SELECT without LIMIT brought, nine tenths were never
fetched from the result, and 100 rows or more a call: `first()` on thousands of rows. *Relationships*: one
that 5 statements or more loaded along (`joinedload`, `selectinload`, `subqueryload`, or `lazy=` in its
declaration), and that no code read of any instance, in all the time captured.

**What to do.** `.limit(1)` for `first()`, else a LIMIT; where the code looks for something in the rows, a
WHERE. A relationship: leave the option out, or say `lazyload` where a declaration asks for it.

**How it is priced.** Rows: the time to fetch them, in proportion; what the database spares by stopping
early comes on top. A relationship that has a statement of its own: one round trip for each; one that is
joined has no price here. Nothing is executed to prove it, so a finding is `estimated`.

**What to weigh.** An asyncio engine reads every row before the code asks for one, so unread rows are not
told there. Reads are seen where they go through the attribute (`user.posts`). Code that reads `vars(user)`,
or pickles instances for another process to read, looks as if it read nothing. What ran seldom, or not at
all while dbperf captured, may be what the relationship is loaded for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from dbperf.advice.access import Case, Traffic, Use, case, recommendation, tables, where
from dbperf.model.facts import StatementFacts
from dbperf.model.recommendation import Evidence, Recommendation
from dbperf.model.workload import Access, Statement
from dbperf.report.format import duration, plural

CODE, SLUG = "DBP403", "over-fetch"

UNREAD_ROWS, UNREAD_SHARE = 100, 0.9
"""Rows a call that were never read, and their share of all, from which on it is a finding."""
FEWEST_UNREAD = 5
"""Statements that loaded a relationship along, and nobody read it."""


def recommend(traffic: Traffic) -> Iterator[Recommendation]:
    """A recommendation for each statement with rows, and each relationship, that nobody reads."""
    for statement, facts in traffic.uses:
        if _unread(statement, facts):
            yield _rows(statement, facts, traffic)
    unread = dict(_unread_relationships(traffic))
    for attribute, uses in unread.items():
        if not all(unread.keys() & _attributes(each.access.loader)[:-1] for each in uses):
            yield _relationship(attribute, uses, traffic)


def _unread_relationships(traffic: Traffic) -> Iterator[tuple[str, list[Use]]]:
    loads: defaultdict[str, list[Use]] = defaultdict(list)
    for statement, facts in traffic.uses:
        for access in statement.accesses:
            if access.kind == "eager":
                loads[_attributes(access.loader)[-1]].append(Use(statement, facts, access, _spared(access)))
    for attribute, uses in loads.items():
        if not any(each.access.reads for each in uses) and _calls(uses) >= FEWEST_UNREAD:
            yield attribute, uses


def _unread(statement: Statement, facts: StatementFacts) -> bool:
    unread, calls = statement.unread_rows, statement.calls
    many = calls > 0 and unread >= UNREAD_ROWS * calls and unread >= UNREAD_SHARE * statement.rows
    return many and facts.kind == "select" and not facts.limit


def _rows(statement: Statement, facts: StatementFacts, traffic: Traffic) -> Recommendation:
    calls, rows, unread = statement.calls, statement.rows, statement.unread_rows
    read, taken = (rows - unread) / calls, statement.fetch_seconds
    limit = (
        "add .limit(1)" if read <= 1 else f"add a LIMIT (about {read:,.0f} rows a call are read) or a WHERE"
    )
    named = tables([facts])
    fetched = f"{rows:,} rows of {plural(calls, 'call')} took {duration(taken)} to fetch"
    evidence = Evidence(
        statement.fingerprint,
        statement.sql,
        calls,
        usage=f"{fetched}; {unread:,} were never read",
        seconds_saved=taken * unread / rows,
    )
    sites = statement.call_sites
    return recommendation(
        f"{CODE}:{statement.fingerprint}",
        SLUG,
        Case(named, (evidence,), sites[:3], "the time to fetch rows, times the share that was never read"),
        traffic,
        title=f"{', '.join(named)}: of {rows / calls:,.0f} rows a call {unread / calls:,.0f} are never read",
        fix=f"{where(sites[0] if sites else None)}{limit}",
        risk="",
    )


def _relationship(attribute: str, uses: list[Use], traffic: Traffic) -> Recommendation:
    busiest, times = max((each.access for each in uses), key=_by_calls), plural(_calls(uses), "time")
    loader = busiest.loader.rsplit(").", 1)[-1]
    if loader.startswith("relationship("):
        declared = loader.partition(")")[0].partition("(")[2]
        fix = f"add .options(lazyload({attribute})) to the query, or declare it without {declared}"
    else:
        fix = f"leave {loader} out of the query"
    return recommendation(
        f"{CODE}:{attribute}",
        SLUG,
        case(uses, traffic),
        traffic,
        title=f"{attribute} is loaded along and never read, {times}",
        fix=f"{where(busiest.site)}{fix}",
        risk="reads around the attribute are not seen: of vars() of an instance, or of a pickled one",
    )


def _attributes(loader: str) -> list[str]:
    """What a loader follows: User.posts, Post.author in "selectinload(User.posts).joinedload(Post.author)".

    Where what comes before the last is not read, the last comes with it and is no finding of its own.
    """
    return re.findall(r"(?:\(| of )(\w+\.\w+)", loader) or [loader]


def _spared(access: Access) -> int:
    last = access.loader.rsplit(").", 1)[-1]
    return 0 if last.startswith("joinedload") or 'lazy="joined"' in last else access.calls


def _calls(uses: list[Use]) -> int:
    return sum(each.access.calls for each in uses)


def _by_calls(access: Access) -> int:
    return access.calls
