"""Statements from the server's own counters: the extension pg_stat_statements, PostgreSQL 14 to 18.

Its columns differ between versions of the extension, which may be older than the server's, so the view's
columns are looked at and no version number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from dbperf.errors import ConnectError, InputError
from dbperf.model.workload import Statement, Workload
from dbperf.statements import analyze_statement, template
from dbperf.statements.lexer import code, words
from dbperf.statements.templates import LONGEST
from dbperf.workload.fold import merge

EXTENSION = "pg_stat_statements"
Connection = psycopg.Connection[Any]

_QUERIES = words("delete insert merge select table update values with")
_WORD = re.compile(r"[^\W\d]\w*")
HIDDEN = "<insufficient privilege>"
_MENTIONS_SYSTEM = re.compile(r"\bpg_|\binformation_schema\b", re.IGNORECASE)
_SYSTEM = re.compile(r"^(?:[^.]*\.)?pg_|^(?:pg_catalog|information_schema)\.", re.IGNORECASE)
_READ = re.compile(r"\b(?:FROM|JOIN)\s+([\w.]+)\b(?!\s*\()", re.IGNORECASE)
_DEFINED = re.compile(r"(\w+)\s+AS\s+\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why the counters cannot be read, and what changes that, in order: SQL, and `-- ` what SQL cannot do."""

    reason: str
    fixes: tuple[str, ...]


class _LeftOut(Enum):
    """Why statements are counted and not kept, as a note says it behind their number."""

    NESTED = "that ran inside functions: the time of what called those has theirs in it"
    UTILITY = "that are commands and no queries (SET, COMMIT, CREATE ROLE …): their text may hold secrets"
    UNREADABLE = "whose text cannot be freed of its literals"
    HIDDEN = "of other roles, whose text this role may not see: {grant}"
    CATALOG = "that read the system catalog alone, as dbperf's own do"
    REST = "after the {top} that took longest"


def read_pg_stat_statements(connection: Connection, *, top: int = 500, schema: str = "") -> Workload:
    """The statements of the connected database that took longest in total, all users together.

    Times are execution alone; there are no latencies and no call sites. Literals that the server left in a
    text are taken out, and only queries are kept: never a command. `notes` say what was left out. `schema`
    is where the view is, for one that wraps it; else the extension knows. Raises InputError, with the
    statement to run, where the view is missing or cannot be read, and ConnectError.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '60s'")
            if not schema:
                if found := obstacle(connection):
                    steps = ", then ".join(each.removeprefix("-- ").rstrip(";") for each in found.fixes)
                    raise InputError(f"{found.reason}: {steps}")
                schema = schema_of(connection)
            return _read(connection, schema, top)
    except psycopg.Error as error:
        message = error.diag.message_primary or str(error) or type(error).__name__
        raise ConnectError(f"{EXTENSION} cannot be read: {message.splitlines()[0]}") from None


def obstacle(connection: Connection) -> Obstacle | None:
    """Why `read_pg_stat_statements` cannot read, None if it can. Raises psycopg.Error for a lost server."""
    schema = schema_of(connection)
    if not schema:
        reason = f"the extension {EXTENSION} is not installed in this database"
        fixes = (*_files(connection), *_preload(connection), f"CREATE EXTENSION {EXTENSION};")
        return Obstacle(reason, fixes)
    try:
        with connection.transaction():
            connection.execute(f"SELECT FROM {schema}.{EXTENSION} LIMIT 1".encode())
    except psycopg.errors.InsufficientPrivilege:
        grant = f"GRANT USAGE ON SCHEMA {schema} TO {_role(connection)};"
        return Obstacle(f"this role may not read {schema}.{EXTENSION}", (grant,))
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return Obstacle(f"{EXTENSION} is installed but not loaded by the server", _preload(connection))
    return None


def evictions(connection: Connection) -> int:
    """How often the server forgot its rarest statements because it counts no more of them."""
    info = read_info(connection, schema_of(connection))
    return int(info.forgotten) if info else 0


def read_all_stats(connection: Connection) -> str:
    """The statement that lets the connected role see the statements of all roles."""
    return f"GRANT pg_read_all_stats TO {_role(connection)};"


def schema_of(connection: Connection) -> str:
    """The extension's schema, quoted for SQL; "" where it is not installed."""
    found = connection.execute(
        "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
        " WHERE extname = 'pg_stat_statements'"
    ).fetchone()
    return str(found[0]) if found else ""


def _role(connection: Connection) -> str:
    (role,) = connection.execute("SELECT quote_ident(current_user)").fetchone() or ("",)
    return str(role)


def _files(connection: Connection) -> tuple[str, ...]:
    """What comes first where the library is missing: a server told to load it would not start again."""
    available = connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
    ).fetchone()
    package = "-- install PostgreSQL's contrib modules on the server's machine (package postgresql-contrib)"
    return (package,) if available is None else ()


def _preload(connection: Connection) -> tuple[str, ...]:
    """What loads the library, none if it is loaded; a role that may not see what is loaded is told a list."""
    found = connection.execute(
        "SELECT string_to_array(setting, ',') FROM pg_settings WHERE name = 'shared_preload_libraries'"
    ).fetchone()
    if found is None:
        return (f"-- add {EXTENSION} to shared_preload_libraries and restart the server",)
    libraries = [each.strip(' "') for each in found[0] if each.strip()]
    if EXTENSION in libraries:
        return ()
    # One literal each: a single 'a,b' would be taken for one library of that name.
    listed = ", ".join(psycopg.sql.quote(each) for each in (*libraries, EXTENSION))
    return (f"ALTER SYSTEM SET shared_preload_libraries = {listed};", "-- restart the server")


def _read(connection: Connection, schema: str, top: int) -> Workload:
    statements: list[Statement] = []
    fingerprints: set[str] = set()
    entries: Counter[_LeftOut] = Counter()
    calls: Counter[_LeftOut] = Counter()
    seconds: Counter[_LeftOut] = Counter()
    info = connection.info
    database = f"{info.host}/{info.port}/{info.dbname}"
    for row in read_rows(connection, schema):
        kept = _LeftOut.REST if len(fingerprints) >= top else _statement(row, database)
        if isinstance(kept, Statement):
            statements.append(kept)
            fingerprints.add(kept.fingerprint)
        else:
            entries[kept] += row.entries
            calls[kept] += row.calls
            seconds[kept] += row.seconds
    if not statements and not entries:
        raise InputError(
            f"{EXTENSION} has counted no statement of database {info.dbname} yet: look at"
            f" SHOW {EXTENSION}.track and SHOW compute_query_id"
        )
    notes = [*_about(connection, schema)]
    for why in _LeftOut:
        if entries[why]:
            text = why.value.format(grant=read_all_stats(connection), top=top)
            took = f"{_counted(calls[why], 'call')}, {seconds[why]:,.3f} s"
            notes.append(f"left out: {_counted(entries[why], 'statement')} ({took}) {text}")
    return Workload(merge([Workload(tuple(statements))]).statements, notes=tuple(notes))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def read_rows(connection: Connection, schema: str) -> Iterator[Any]:
    """The entries of this database, the longest in total first, with all users' in one.

    An entry that this role may not see has no id: all of those are one row.
    """
    columns = _columns(connection, f"{schema}.{EXTENSION}")
    # Before 1.9 nested statements cannot be told; before 1.8 the time had another name.
    toplevel = "toplevel" if "toplevel" in columns else "true"
    time = "total_exec_time" if "total_exec_time" in columns else "total_time"
    query = (
        f"SELECT min(left(query, {LONGEST + 1})) AS query, {toplevel} AS toplevel, count(*) AS entries,"  # noqa: S608
        f" sum(calls)::bigint AS calls, sum(rows)::bigint AS rows, (sum({time}) / 1000)::float8 AS seconds"
        f" FROM {schema}.{EXTENSION}"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " GROUP BY queryid, 2 ORDER BY seconds DESC, 1"
    )
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        yield from cursor.execute(query.encode())


def _columns(connection: Connection, relation: str) -> set[str]:
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0", (relation,)
    )
    return {str(name) for (name,) in found}


def _statement(row: Any, database: str) -> Statement | _LeftOut:
    if row.query is None or row.query == HIDDEN:
        return _LeftOut.HIDDEN
    if not row.toplevel:
        return _LeftOut.NESTED
    outside_strings = code(row.query)
    if not is_query(outside_strings):
        return _LeftOut.UTILITY
    if "\\" in outside_strings:  # without standard_conforming_strings a string ends elsewhere than it seems
        return _LeftOut.UNREADABLE
    shape = template(row.query, "postgresql")
    if shape.sql.startswith("<"):  # what a template shows of a text that it cannot read
        return _LeftOut.UNREADABLE
    if is_systems(shape.sql):
        return _LeftOut.CATALOG
    return Statement(
        sql=shape.sql,
        fingerprint=shape.fingerprint,
        dialect="postgresql",
        database=database,
        calls=row.calls,
        parameter_sets=row.calls,
        rows=row.rows,
        execute_seconds=row.seconds,
    )


def is_query(text: str) -> bool:
    """Whether a text, its strings and comments blanked by `code`, is no command."""
    word = _WORD.search(text)
    return word is not None and word.group().lower() in _QUERIES


def is_systems(sql: str) -> bool:
    """Whether a query reads tables of the system and no other."""
    if not _MENTIONS_SYSTEM.search(sql):
        return False
    facts = analyze_statement(sql)
    if facts.parsed:
        names = {f"{each.schema}.{each.name}".lstrip(".") for each in facts.tables}
    else:  # as catalog queries often are: in syntax that sqlglot does not know
        names = set(_READ.findall(sql)) - set(_DEFINED.findall(sql))
    return bool(names) and all(_SYSTEM.search(name) for name in names)


def _about(connection: Connection, schema: str) -> Iterator[str]:
    told = "times are execution alone, without planning; no call sites, no latencies"
    info = read_info(connection, schema)
    yield f"from {EXTENSION}{f', counted since {info.since}' if info else ''}: {told}"
    if info and info.forgotten:
        yield (
            f"{EXTENSION} was full and forgot its rarest statements {info.forgotten:,} times"
            f" ({EXTENSION}.max = {info.max}): what they took is not in this report"
        )


def read_info(connection: Connection, schema: str) -> Any:
    """Since when is counted, as text and in seconds since 1970, and how often statements were forgotten; None
    before 1.9 of the extension.
    """
    if not _columns(connection, f"{schema}.{EXTENSION}_info"):
        return None
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "SELECT dealloc AS forgotten, extract(epoch FROM stats_reset)::float8 AS reset,"  # noqa: S608
            " to_char(stats_reset, 'YYYY-MM-DD HH24:MI TZ') AS since,"
            f" current_setting('{EXTENSION}.max', true) AS max FROM {schema}.{EXTENSION}_info".encode()
        ).fetchone()
