"""Which database an engine talks to, in a form that may be stored and shown."""

from __future__ import annotations

import os

from sqlalchemy import URL

_PORTS = {
    "cockroachdb": "26257",
    "mariadb": "3306",
    "mssql": "1433",
    "mysql": "3306",
    "oracle": "1521",
    "postgresql": "5432",
}


def database_of(url: URL) -> str:
    """`host/port/name` of a URL, never its user or password; for SQLite the absolute path, or ":memory:".

    A host, port or dbname in the query (`?host=/run/postgresql`, `?host=a:5432&host=b:5432`) wins, as it
    does in libpq; several hosts are joined by commas. What is missing is localhost and the usual port.
    """
    if not isinstance(url, URL):  # what SQLAlchemy takes for one
        return ""
    if url.get_backend_name() == "sqlite":
        return _sqlite_file(url.database)
    query = url.normalized_query
    addresses = [_host_and_port(each) for each in query.get("host", (url.host or "localhost",))]
    usual = str(url.port or "") or _PORTS.get(url.get_backend_name(), "")
    port = next((port for _, port in addresses if port), query.get("port", (usual,))[0])
    name = query.get("dbname", (url.database or "",))[0]
    return f"{','.join(host for host, _ in addresses)}/{port}/{name}"


def _host_and_port(text: str) -> tuple[str, str]:
    host, _, port = text.rpartition(":")
    return (host, port) if host and port.isdigit() and ":" not in host else (text, "")


def _sqlite_file(database: str | None) -> str:
    if not database or database == ":memory:":
        return ":memory:"
    return database if database.startswith("file:") else os.path.abspath(database)
