"""A private PostgreSQL server: start it, say where it is, end it.

    with start() as server:
        engine = create_engine(server.url())

The server belongs to this process and goes with it, however it goes; see supervisor.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from dbperf.embedded import supervisor
from dbperf.embedded.binaries import Install, find_install, server_account
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
_STOP_SECONDS = 30.0


@dataclass(slots=True, eq=False, weakref_slot=True)
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
        lease = self._lease
        if lease is None or _ended(lease, 0):
            raise EmbeddedError("the embedded PostgreSQL has stopped already")
        assert lease.stdin
        lease.stdin.write(b"keep\n")
        self._disown()
        return f"kill {lease.pid}"

    def close(self) -> None:
        """Stop the server and remove its data; a second call does nothing."""
        lease, self._lease = self._lease, None
        if lease is not None:
            _end(lease, self.folder)

    def _disown(self) -> None:
        """Forget the supervisor without ending it: it was kept, or belongs to the process we were forked from."""
        lease, self._lease = self._lease, None
        if lease is not None:
            _hang_up(lease)
            lease.returncode = 0  # else Popen warns of a child that nobody waited for

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _after_fork() -> None:
    # A forked child holds the pipe's end as well: with it, the server would outlive its owner.
    for server in list(_servers):
        server._disown()


os.register_at_fork(after_in_child=_after_fork)


def start(
    *,
    version: int = 18,
    databases: Sequence[str] = ("postgres",),
    settings: Mapping[str, str] | None = None,
    auth: Literal["trust", "scram-sha-256"] = "trust",
    password: str | None = None,
    listen: bool = False,
) -> Server:
    """Start a private PostgreSQL (about 1 s) and wait until it takes connections.

    `version` is 18 or 16. `databases` are made if they do not exist. `settings` go to postgresql.conf. `auth`
    is how the socket asks; `listen` adds a port on 127.0.0.1, which any local user can reach, so that one
    always asks for the password. Without `password` one is made up where one is needed. Blocks; may be called
    from any thread. Raises EmbeddedError: not installed, or initdb's or postgres' own last word.
    """
    account = server_account()
    install = find_install(version, account)
    if password is None and (listen or auth != "trust"):
        password = secrets.token_urlsafe(16)
    order: supervisor.Order = {
        "install": str(install.folder),
        "libraries": str(install.libraries),
        "copy": install.copy,
        "version": version,
        "account": account,
        "user": _USER,
        "auth": auth,
        "password": password,
        "listen": listen,
        "settings": {**DEFAULTS, **(settings or {})},
    }
    server = _supervised(order, install)
    try:
        for database in databases:
            if database != "postgres":
                _create(server, database)
    except BaseException:
        server.close()
        raise
    return server


def _supervised(order: supervisor.Order, install: Install) -> Server:
    lease = subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Not ours: whoever reads our stderr to its end should not have to wait for the server's.
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # out of reach of the terminal's Ctrl-C
    )
    folder = None
    try:
        assert lease.stdin
        lease.stdin.write(json.dumps(order).encode() + b"\n")
        folder = Path(_heard(lease, "folder")["folder"])
        ready = _heard(lease, "ready")
        host = "127.0.0.1" if order["listen"] else str(folder / "data")
        server = Server(
            folder,
            host,
            ready["ready"],
            order["user"],
            Path(ready["bin"]),
            install.server_version,
            order["password"],
            lease,
        )
        _servers.add(server)
    except BaseException:
        _end(lease, folder)
        raise
    return server


def _heard(lease: subprocess.Popen[bytes], key: str) -> dict[str, Any]:
    assert lease.stdout
    line = lease.stdout.readline()
    message: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"error": "its supervisor died"}
    if key not in message:
        raise EmbeddedError(f"the embedded PostgreSQL did not start: {message['error']}")
    return message


def _create(server: Server, database: str) -> None:
    done = subprocess.run(
        [server.bin / "createdb", "--no-password", "-h", server.host, "-p", str(server.port)]
        + ["-U", server.user, "--", database],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PGPASSWORD": server._password or "", "LC_ALL": "C"},
        check=False,
    )
    if done.returncode and "already exists" not in done.stderr:
        raise EmbeddedError(f"cannot create database {database!r}: {done.stderr.strip().splitlines()[-1]}")


def _hang_up(lease: subprocess.Popen[bytes]) -> None:
    assert lease.stdin
    assert lease.stdout
    lease.stdin.close()
    lease.stdout.close()


def _ended(lease: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the supervisor's stdout ends within `seconds`; not by waitpid, see _clear."""
    assert lease.stdout
    deadline = time.monotonic() + seconds
    while select.select([lease.stdout], (), (), max(0.0, deadline - time.monotonic()))[0]:
        if not os.read(lease.stdout.fileno(), 4096):
            return True
    return False


def _end(lease: subprocess.Popen[bytes], folder: Path | None) -> None:
    """End the lease and wait; where the supervisor was killed, do its work."""
    assert lease.stdin
    lease.stdin.close()
    if not _ended(lease, _STOP_SECONDS):
        lease.kill()
    if folder and folder.exists():
        _clear(lease, folder)
    _hang_up(lease)
    lease.wait()


def _clear(lease: subprocess.Popen[bytes], folder: Path) -> None:
    """Stop what runs in the supervisor's process group and remove the folder.

    Before the supervisor is reaped: until then nobody else's process group can have its number.
    """
    running = folder / "data/postmaster.pid"
    for number in (signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(lease.pid, number)
        deadline = time.monotonic() + 5
        while running.exists() and number == signal.SIGQUIT and time.monotonic() < deadline:
            time.sleep(0.02)
    supervisor.remove(folder)
