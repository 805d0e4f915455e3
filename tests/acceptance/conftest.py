"""The command line as a user has it: processes, files, exit codes, on servers of several versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dbperf.embedded import Server, start

DEBIAN_15 = Path("/usr/lib/postgresql/15")
PASSWORD = "correct-horse-battery"
NOBODY = 65534

# PostgreSQL 18 and 16 come with dbperf; 15 is Debian's, tested wherever it is installed and always in CI.
SERVERS = ["18", "16"]
if (DEBIAN_15 / "bin/postgres").exists() or os.environ.get("DBPERF_TEST_POSTGRES15") == "required":
    SERVERS.append("15")


Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `dbperf` in a folder of the test's own; whatever it says, a password is never in it."""

    folder: Path
    warm: subprocess.Popen[str]

    def __call__(self, *arguments: object, user: int | None = None) -> Done:
        """Run a command line to its end, as another account where one is given."""
        self.start(*arguments, user=user)
        return self.finish()

    def start(self, *arguments: object, user: int | None = None) -> int:
        """Begin a command line; its process id. `finish` must follow."""
        order = {
            "arguments": [str(each) for each in arguments],
            "folder": str(self.folder),
            "stdout": str(self.folder.parent / "stdout"),
            "stderr": str(self.folder.parent / "stderr"),
            "user": user,
        }
        assert self.warm.stdin
        self.warm.stdin.write(json.dumps(order) + "\n")
        self.warm.stdin.flush()
        return self._answer()

    def finish(self) -> Done:
        """Wait for what `start` began."""
        code = self._answer()
        said = (self.folder.parent / name for name in ("stdout", "stderr"))
        out, err = (path.read_text("utf-8", "surrogateescape") for path in said)
        assert PASSWORD not in out + err
        assert "Traceback" not in out + err
        return subprocess.CompletedProcess("dbperf", code, out, err)

    def _answer(self) -> int:
        assert self.warm.stdout
        return int(self.warm.stdout.readline())

    def refused(self, *arguments: object, user: int | None = None) -> str:
        """The one line on stderr of a command that must fail with 2, and print nothing."""
        done = self(*arguments, user=user)
        assert (done.returncode, done.stdout) == (2, ""), done
        (line,) = done.stderr.splitlines()
        assert line.startswith("dbperf: ")
        return line

    def write(self, name: str, text: str | bytes) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path


@pytest.fixture(scope="session")
def warm() -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("warm.py")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DBPERF_", "PG"))}
    environment |= {"PYTHONUTF8": "1", "NO_COLOR": "1", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process


@pytest.fixture
def dbperf(warm: subprocess.Popen[str], tmp_path: Path) -> CommandLine:
    folder = tmp_path / "here"
    folder.mkdir()
    return CommandLine(folder, warm)


@pytest.fixture(scope="session")
def guarded() -> Iterator[Server]:
    """A server on a port, that asks for a password."""
    with start(auth="scram-sha-256", password=PASSWORD, listen=True) as running:
        yield running


@pytest.fixture(scope="session", params=SERVERS)
def any_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each version that is tested."""
    calm = {"autovacuum": "off"}  # what it does to a table would change plans from run to run
    debian = request.param == "15"
    started = (
        start(install=DEBIAN_15, settings=calm)
        if debian
        else start(version=int(request.param), settings=calm)
    )
    with started as running:
        yield running


TABLES = """
CREATE TABLE item (id int PRIMARY KEY, owner int NOT NULL, kind text NOT NULL, at timestamptz NOT NULL);
INSERT INTO item SELECT i, i % 997, 'kind ' || i % 5, timestamptz '2024-01-01' + i * interval '1 minute'
    FROM generate_series(1, 20000) i;
CREATE TABLE tiny (id int PRIMARY KEY, name text);
INSERT INTO tiny SELECT i, 'name ' || i FROM generate_series(1, 20) i;
ANALYZE item, tiny;
"""
LOOKUP = "SELECT * FROM item WHERE owner = 7;\n"


@pytest.fixture(scope="session")
def db(server: Server) -> str:
    """The address of a database where `LOOKUP` wants an index on item (owner); for all tests, to be read."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE acceptance")
    with psycopg.connect(server.dsn("acceptance"), autocommit=True) as connection:
        connection.execute(TABLES)
    return server.dsn("acceptance")


@pytest.fixture
def own_db(server: Server, database: str) -> str:
    """The same, for one test."""
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(TABLES)
    return server.dsn(database)
