"""What the server counted, to be held against what was recorded: calls of pg_stat_statements by statement."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dbperf.statements import template
from dbperf.statements.lexer import code
from dbperf.workload.sources.pg_stat_statements import (
    EXTENSION,
    HIDDEN,
    Connection,
    is_query,
    is_systems,
    read_info,
    read_rows,
    schema_of,
)

# A server-side cursor has a name of its own each time, and what it reads behind it.
_DECLARED = re.compile(r'\A\s*declare\s+(?:"[^"]*"|\w+)\s[^;]*?\bcursor\b[^;]*?\bfor\s', re.IGNORECASE)
_TYPED = re.compile(r"\b(?:interval|date|timestamp|timestamptz|time|timetz)\s+(?=\$\d)", re.IGNORECASE)
_READS = re.compile(r'\b(?:from|join|into|update)\s+[\w."]+\b(?!\s*\()', re.IGNORECASE)
_IN = re.compile(r"(\bnot\s+)?\bin\s*\(\s*\$\d+[^()]*\)", re.IGNORECASE)
_CONSTANT = re.compile(r"\b(?:null|true|false)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counters:
    """Calls of statements that clients sent, by `comparable`; `queries` are those of tables, of the system
    catalog's apart. Calls that this role may not see the text of are `hidden`.

    `since` is when counting began, as text, and `reset` in seconds since 1970; "" and None before 1.9 of the
    extension. Rare statements were `forgotten` so often. `commands`: those are counted, too.
    """

    calls: Mapping[str, int]
    queries: frozenset[str]
    hidden: int
    since: str
    reset: float | None
    forgotten: int
    commands: bool


def read_counters(connection: Connection) -> Counters:
    """Read all of the connected database. Raises psycopg.Error."""
    calls, hidden, queries = Counter[str](), 0, set[str]()
    schema = schema_of(connection)
    for row in read_rows(connection, schema):
        if row.query is None or row.query == HIDDEN:
            hidden += row.calls
        elif row.toplevel:
            sql = _DECLARED.sub("", row.query)
            key = comparable(sql)
            calls[key] += row.calls
            if is_query(code(sql)) and _READS.search(sql) and not is_systems(template(sql, "postgresql").sql):
                queries.add(key)
    info = read_info(connection, schema)
    since, reset, forgotten = (info.since, info.reset, info.forgotten) if info else ("", None, 0)
    return Counters(calls, frozenset(queries), hidden, since, reset, forgotten, _counts_commands(connection))


def comparable(sql: str) -> str:
    """A fingerprint that a statement has as it was sent and as the server writes it down.

    The server takes null, true and false for values, writes `interval $1` for a literal with its type, and
    keeps what it parses alike with the text that came first: `IN ($1)` is `= $1`, `!=` is `<>`.
    """
    sql = _CONSTANT.sub("$1", _TYPED.sub("", template(sql, "postgresql").sql))
    sql = _IN.sub(lambda found: "<> $1" if found[1] else "= $1", sql).replace("!=", "<>")
    return template(sql, "postgresql").fingerprint


def _counts_commands(connection: Connection) -> bool:
    query = "SELECT current_setting(%s, true)"
    (value,) = connection.execute(query, (f"{EXTENSION}.track_utility",)).fetchone() or ("",)
    return value != "off"
