"""pgbouncer before an embedded server: Debian's, tested wherever it is installed and always in CI.

with bouncer(server) as running:
    connect(running.url)
    running.command("PAUSE")
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import URL

from dbperf.embedded import Server
from dbperf.embedded.binaries import server_account
from dbperf.embedded.supervisor import free_port

PROGRAM = Path("/usr/sbin/pgbouncer")
INSTALLED = PROGRAM.exists() or os.environ.get("DBPERF_TEST_POSTGRES15") == "required"
SIZE = 8
"""Connections to the server that it opens at most for a database."""
_CONFIGURATION = """
[databases]
* = host={server.host} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
admin_users = postgres
pool_mode = transaction
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
"""


@dataclass(slots=True)
class Bouncer:
    """A pgbouncer that runs, in transaction mode. `folder` holds its configuration."""

    folder: Path
    port: int
    process: subprocess.Popen[str] = field(init=False)

    @property
    def url(self) -> URL:
        """Of the database "postgres", without a driver."""
        return URL.create("postgresql", "postgres", host="127.0.0.1", port=self.port, database="postgres")

    def command(self, command: str) -> None:
        """What an administrator may tell it; PAUSE, for one. Returns when it is done."""
        where = self.url.set(database="pgbouncer").render_as_string()
        # Its console knows the simple protocol alone, and neither BEGIN nor parameters.
        with psycopg.connect(where, autocommit=True, cursor_factory=psycopg.ClientCursor) as console:
            console.execute(command.encode())

    def start(self) -> None:
        """Run it, and wait until it takes connections."""
        account = server_account()
        identity = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
        self.process = subprocess.Popen(
            [PROGRAM, "-q", self.folder / "ini"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **identity,  # type: ignore[call-overload]
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.command("SHOW VERSION")
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.process.communicate()[1]) from None
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def stop(self) -> None:
        """End it at once, and all its connections; which signal but SIGKILL does that differs by version."""
        self.process.kill()
        self.process.communicate(timeout=20)


@contextmanager
def bouncer(server: Server) -> Iterator[Bouncer]:
    """One on a port of its own, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="dbperf-bouncer-") as name:
        running = Bouncer(Path(name), free_port())
        running.folder.chmod(0o711)  # the server's account, which it runs as, must reach what is in it
        configuration = _CONFIGURATION.format(
            server=server, port=running.port, folder=running.folder, size=SIZE
        )
        for file, content in (("ini", configuration), ("users", '"postgres" ""\n')):
            (running.folder / file).write_text(content)
            (running.folder / file).chmod(0o644)
        running.start()
        try:
            yield running
        finally:
            running.stop()
