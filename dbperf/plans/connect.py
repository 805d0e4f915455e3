"""dbperf's own connection to the target: never the app's engine, never an error with a password in it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import conninfo, pq
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from dbperf.errors import ConnectError, InputError

Connection = psycopg.Connection[Any]

_POSTGRES_URL = re.compile(r"postgres(ql)?(\+\w+)?://")
_ANY_URL = re.compile(r"(\w+)(\+\w+)?://")
_HOW = "a libpq string (host=… dbname=…) or a postgresql:// URL"


def parse_target(text: str) -> dict[str, str]:
    """libpq keywords from a libpq string or a postgresql[+driver]:// URL. Raises InputError.

    Options of a URL that only another driver knows (asyncpg's prepared_statement_cache_size) are dropped.
    """
    if not _POSTGRES_URL.match(text):
        if scheme := _ANY_URL.match(text):
            raise InputError(f"--db: dbperf plans on PostgreSQL and SQLite, not on {scheme[1]}; give {_HOW}")
        try:
            parsed = {key: str(value) for key, value in conninfo.conninfo_to_dict(text).items()}
        except psycopg.ProgrammingError:
            parsed = {}
        if not parsed:
            raise InputError(f"--db: not a database address; give {_HOW}")
        return parsed
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # its message would repeat the URL, password included
        raise InputError(f"--db: not a database URL; give {_HOW}") from None
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    options = {key: value if isinstance(value, str) else ",".join(value) for key, value in url.query.items()}
    if "ssl" in options:  # asyncpg's name
        options.setdefault("sslmode", options["ssl"])
    parts = {
        "host": url.host,
        "port": str(url.port) if url.port else None,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    given = {key: str(value) for key, value in parts.items() if value}
    return {key: value for key, value in options.items() if key in known} | given


def connect(target: str) -> Connection:
    """A psycopg connection in autocommit mode. Raises InputError or ConnectError, one line each."""
    options = parse_target(target)
    options.setdefault("connect_timeout", "10")
    options["application_name"] = "dbperf"
    try:
        return psycopg.connect(**options, autocommit=True)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise ConnectError(f"--db: {_reason(error, options.get('password', ''))}") from None


def database_of(connection: Connection) -> str:
    """host/port/name of a connection, as captured statements are labelled."""
    info = connection.info
    return f"{info.host}/{info.port}/{info.dbname}"


def _reason(error: psycopg.Error, password: str) -> str:
    """libpq's message on one line: it reports every host tried, the last line that says why is the best."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "failed" in line] or lines or ["no connection"]
    text = telling[-1].removeprefix("connection failed: ").removeprefix("- ")
    if password:
        text = text.replace(password, "***")
    return text
