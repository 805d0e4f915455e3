"""DBP402 repeated-query: a statement is sent again with the same parameters, and nothing was written since.

**Why it matters.** The answer is known already, and each time costs a round trip: the current user looked
up by every layer of a request, a setting read for every row.

**How it is found.** In one operation (a request, or what `dbperf.track` says; where none is open, one use
of a connection) the same SELECT came with parameters that had been sent before, and the operation had
written nothing in between. At least 3 such executions must have been captured. It has to read a table:
`SELECT 1` asks whether the connection is alive. A SELECT with a row lock, or a function whose answer
changes (`now()`, `random()`, `nextval()`, whatever starts with `pg_`), is meant to run again.

**What to do.** Keep the first answer for as long as the operation runs: pass it on, keep it on the request,
use `Session.get()`, which asks the session first, or a cache.

**How it is priced.** Every repetition is spared, at the least that a round trip to that database was
measured to take: a lower bound. Nothing is executed to prove it, so a finding is `estimated`.

**What to weigh.** Others may write meanwhile. Code that waits for their change has to ask again.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbperf.advice.access import Traffic, Use, case, operations, recommendation, stable, tables, where
from dbperf.advice.rules import n_plus_one
from dbperf.model.facts import StatementFacts
from dbperf.model.recommendation import Recommendation
from dbperf.model.workload import FEWEST
from dbperf.report.format import plural
from dbperf.statements.lexer import words

CODE, SLUG = "DBP402", "repeated-query"

_CHANGING = words(
    "changes clock_timestamp current_date current_time current_timestamp currval date datetime "
    "gen_random_uuid julianday last_insert_rowid lastval localtime localtimestamp nextval now rand random "
    "randomblob setval statement_timestamp strftime sysdate timeofday total_changes transaction_timestamp "
    "txid_current unixepoch uuid uuid_generate_v4 uuidv4 uuidv7"
)


def recommend(traffic: Traffic) -> Iterator[Recommendation]:
    """A recommendation for each statement and function of the application that repeats it."""
    found: dict[str, list[Use]] = {}
    for statement, facts in traffic.uses:
        loops = {each.site for each in statement.accesses if n_plus_one.repeats(each, facts)}
        for access in statement.accesses:
            if access.kind == "again" and access.site not in loops and _same_answer(facts):
                use = Use(statement, facts, access, access.calls)
                found.setdefault(f"{statement.fingerprint}@{stable(access.site)}", []).append(use)
    for key, uses in found.items():
        calls, first = sum(each.access.calls for each in uses), uses[0]
        if calls >= FEWEST:
            named, asked = ", ".join(tables([first.facts])), operations(each.access for each in uses)
            yield recommendation(
                f"{CODE}:{key}",
                SLUG,
                case(uses, traffic),
                traffic,
                title=f"{named} is asked the same again: {plural(calls, 'repetition')} in {asked}",
                fix=f"{where(first.access.site)}keep the first answer while the operation runs",
                risk="what others write meanwhile is not seen",
            )


def _same_answer(facts: StatementFacts) -> bool:
    changing = any(name in _CHANGING or name.startswith("pg_") for name in facts.functions)
    return facts.kind == "select" and facts.read_only and bool(facts.tables) and not changing
