"""A private PostgreSQL server: start it, say where it is, end it.

    with start() as server:
        engine = create_engine(server.url())

The server belongs to this process and goes with it, however it goes; see supervisor.py.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from dbperf.embedded import lease, supervisor
from dbperf.embedded.binaries import find_install, local_install, server_account
from dbperf.errors import EmbeddedError

# Nothing here has to survive a power cut. Parallel queries' shared memory is kept in files below the folder,
# not in /dev/shm: containers have 64 MB of that, and what a killed server leaves there stays.
DEFAULTS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",
}
_USER = "postgres"


@dataclass(slots=True, eq=False)
class Server:
    """A running server. `host` is the folder of its socket, or 127.0.0.1; `bin` has psql, pgbench and others.

    A context manager that closes it. Not safe to close from two threads at once.
    """

    folder: Path
    host: str
    port: int
    user: str
    bin: Path
    server_version: str
    _password: str | None = field(repr=False)
    _lease: subprocess.Popen[bytes] | None = field(repr=False)

    def url(self, driver: str = "psycopg", database: str = "postgres") -> str:
        """The SQLAlchemy URL for `postgresql+driver`, password included where there is one."""
        from sqlalchemy import URL

        place: dict[str, Any] = {"host": self.host, "port": self.port}
        if self.host.startswith("/"):
            place = {"query": {"host": self.host}}
        return URL.create(
            f"postgresql+{driver}", self.user, self._password, database=database, **place
        ).render_as_string(hide_password=False)

    def dsn(self, database: str = "postgres") -> str:
        """The libpq connection string, password included where there is one."""
        words = {"host": self.host, "port": str(self.port), "user": self.user, "dbname": database}
        if self._password:
            words["password"] = self._password
        quoted = {key: word.replace("\\", r"\\").replace("'", r"\'") for key, word in words.items()}
        return " ".join(f"{key}='{word}'" for key, word in quoted.items())

    def keep(self) -> str:
        """Let the server outlive us; returns the shell command that stops it and removes its data.

        Raises EmbeddedError where it has stopped already.
        """
        if self._lease is None or not self.folder.exists():  # its supervisor goes just after its data
            raise EmbeddedError("the embedded PostgreSQL has stopped already")
        stop = f"kill {self._lease.pid}"
        lease.keep(self._lease)
        self._lease = None
        return stop

    def close(self) -> None:
        """Stop the server and remove its data; a no-op the second time, and in a forked child."""
        process, self._lease = self._lease, None
        if process is not None:
            lease.end(process, self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(
    *,
    version: int = 18,
    install: Path | None = None,
    databases: Sequence[str] = ("postgres",),
    settings: Mapping[str, str] | None = None,
    auth: Literal["trust", "scram-sha-256"] = "trust",
    password: str | None = None,
    listen: bool = False,
) -> Server:
    """Start a private PostgreSQL (about 1 s) and wait until it takes connections.

    `version` is 18 or 16, of the wheel; `install` is the folder of another PostgreSQL (13 or later), the one
    above its bin. `databases` are made, empty. `settings` go to postgresql.conf, except for where it
    listens. `auth` is how the socket asks; `listen` adds a port on 127.0.0.1, which any local user can reach,
    so that one always asks for the password. Without `password` one is made up where one is needed. Blocks;
    may be called from any thread. Raises EmbeddedError: not installed, or initdb's or postgres' own words.
    """
    account = server_account()
    found = local_install(install, account) if install else find_install(version, account)
    if password is None and (listen or auth != "trust"):
        password = secrets.token_urlsafe(16)
    order: supervisor.Order = {
        "install": str(found.folder),
        "libraries": str(found.libraries),
        "copy": found.copy,
        "version": int(found.server_version.split(".")[0]),
        "account": account,
        "user": _USER,
        "auth": auth,
        "password": password,
        "listen": listen,
        "settings": {**DEFAULTS, **(settings or {})},
    }
    process, folder, ready = lease.begin(order)
    host = "127.0.0.1" if listen else str(folder / "data")
    where = (ready["port"], _USER, Path(ready["bin"]), found.server_version)
    server = Server(folder, host, *where, password, process)
    try:
        for database in dict.fromkeys(databases):
            if database != "postgres":
                _create(server, database)
    except BaseException:
        server.close()
        raise
    return server


def _create(server: Server, database: str) -> None:
    where = ("-h", server.host, "-p", str(server.port), "-U", server.user)
    done = subprocess.run(  # noqa: S603
        [server.bin / "createdb", "--no-password", *where, "--", database],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PGPASSWORD": server._password or "", "LC_ALL": "C"},
        check=False,
    )
    if done.returncode:
        raise EmbeddedError(f"cannot create database {database!r}: {done.stderr.strip().splitlines()[0]}")
