"""The lease on an embedded server; a program of its own that uses the standard library alone.

The owner starts it with a pipe as its stdin and writes one line of JSON, the `Order`. The supervisor makes
the folder and the cluster, runs postgres, and reports on stdout, one JSON object a line: `{"folder": …}`,
then `{"port": …, "bin": …}` when it takes connections, and `{"error": …}` last of all. It waits for the end
of its stdin, which is the owner's wish or the owner's death, however it came. A line `keep` before that
leaves SIGTERM, SIGINT and SIGHUP as the only ways to end it. Then it stops postgres and removes the folder.

All that could be left behind is made here and nowhere else, so there is no moment at which killing the
owner leaves a process or a file.
"""

from __future__ import annotations

import contextlib
import json
import locale
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypedDict

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
START_SECONDS = 60.0
FALLBACKS = ("/tmp", "/var/tmp")  # noqa: S108 - a folder of our own is made there by mkdtemp
SETTINGS_BY_INITDB = 16
SOCKET_PATH_BYTES = 103  # macOS; Linux has 107


class Order(TypedDict):
    """What the owner orders. `account` is the (uid, gid) to run as, None for our own."""

    install: str
    libraries: str
    copy: bool
    version: int
    account: tuple[int, int] | None
    user: str
    auth: str
    password: str | None
    listen: bool
    settings: dict[str, str]


class LeaseEndedError(Exception):
    """The owner is gone, or a signal told us to end."""


class StartError(Exception):
    """Told to the owner; one line."""


class Lease:
    """Waits for things to happen, and never past the end of the lease."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the owner's mask came with the fork
        self._wake, write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in (*ENDING, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._watched = [self._wake, 0]
        self._kept = False

    def wait(self, done: Callable[[], bool], every: float | None = None) -> None:
        """Return once `done()`; asked again at each child's end and every so many seconds."""
        while not done():
            ready = select.select(self._watched, (), (), every)[0]
            if self._wake in ready and set(os.read(self._wake, 4096)) & set(ENDING):
                raise LeaseEndedError
            if 0 in ready:
                self._listen()

    def _listen(self) -> None:
        message = os.read(0, 4096)
        self._kept = self._kept or message.startswith(b"keep")
        if not message:
            self._watched.remove(0)
            if not self._kept:
                raise LeaseEndedError


def main() -> None:
    """Serve one order from stdin, to the end of the lease."""
    lease = Lease()
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        line = stdin.readline()
    if not line.endswith(b"\n"):
        return
    order: Order = json.loads(line)
    os.umask(0o077)
    folder, problem = None, ""
    try:
        folder = Path(tempfile.mkdtemp(prefix="dbperf-", dir=fit_parent(order)))
        say(folder=str(folder))
        serve(lease, order, folder)
    except LeaseEndedError:
        pass
    except (StartError, OSError, subprocess.SubprocessError) as error:
        problem = " ".join(str(error).split())
    finally:
        if folder:
            remove(folder)
    with contextlib.suppress(OSError):
        say(error=problem or "the server has stopped")  # heard when nothing is left


def say(**message: object) -> None:
    """Tell the owner."""
    os.write(1, json.dumps(message).encode() + b"\n")


def fit_parent(order: Order) -> Path:
    """The temporary folder to make ours in. Raises StartError where none is fit for a socket."""
    for parent in map(Path, dict.fromkeys((tempfile.gettempdir(), *FALLBACKS))):
        if is_fit(parent, everyone=order["account"] is not None):
            return parent
    raise StartError("no temporary folder has a path that is short and open enough for a socket; set TMPDIR")


def is_fit(parent: Path, everyone: bool) -> bool:
    """Whether a socket below `parent` can be named, and reached by `everyone` if so asked."""
    longest = parent / "dbperf-12345678" / "data" / ".s.PGSQL.65535"
    if len(os.fsencode(longest)) > SOCKET_PATH_BYTES or "," in str(parent):  # libpq splits hosts at commas
        return False
    if not os.access(parent, os.W_OK | os.X_OK):
        return False
    return not everyone or all(each.stat().st_mode & 0o001 for each in (parent, *parent.parents))


def serve(lease: Lease, order: Order, folder: Path) -> None:
    """Make a cluster in `folder` and run it until postgres or the lease ends.

    The folder stays ours, only `data` in it is the account's: so we never write, nor run a program, where
    the account could have put something else.
    """
    data = folder / "data"
    data.mkdir(mode=0o700)
    if order["account"]:
        folder.chmod(0o711)
        os.chown(data, *order["account"])
    install = Path(order["install"])
    if order["copy"]:
        install = copy_install(install, Path(order["libraries"]), folder / "install")
    with (folder / "log").open("a+b") as log:
        initialise(lease, order, folder, install, log)
        for _ in range(5 if order["listen"] else 1):
            if run(lease, order, folder, install, log):
                return
            if "could not bind" not in trouble(log):  # somebody else took the port: try another
                break
        raise StartError(f"postgres did not start: {trouble(log)}")


def run(lease: Lease, order: Order, folder: Path, install: Path, log: BinaryIO) -> bool:
    """Run postgres to the end; False when it never was ready."""
    port, host = (free_port(), "127.0.0.1") if order["listen"] else (5432, "")
    data = folder / "data"
    log.truncate(0)
    command: list[str | Path] = [
        install / "bin/postgres",
        "-D",
        data,
        "-k",
        data,
        "-p",
        str(port),
        "-h",
        host,
    ]
    if order["version"] < SETTINGS_BY_INITDB:
        command += settings_options(order)
    with child(command, order, log) as postgres:
        deadline = time.monotonic() + START_SECONDS
        lease.wait(lambda: postgres.poll() is not None or is_ready(data, deadline), every=0.02)
        if postgres.poll() is not None:
            return False
        say(port=port, bin=str(install / "bin"))
        lease.wait(lambda: postgres.poll() is not None)
        return True


def copy_install(install: Path, libraries: Path, target: Path) -> Path:
    """Copy a PostgreSQL to where everybody may run it, and return its new place.

    Both folders keep their place relative to each other: the programs look for `libraries` by RPATH.
    """
    copied = target / install.parent.name / install.name
    shutil.copytree(libraries, target / libraries.name)
    shutil.copytree(install, copied, ignore=shutil.ignore_patterns("include", "*.a"))
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    return copied


def initialise(lease: Lease, order: Order, folder: Path, install: Path, log: BinaryIO) -> None:
    """Run initdb. Since 16 it takes the settings into postgresql.conf, where ALTER SYSTEM overrides them."""
    command: list[str | Path] = [install / "bin/initdb", "-D", folder / "data", "-U", order["user"]]
    command += ["-E", "UTF8", "--no-sync", "--no-instructions"]
    command += [f"--auth-local={order['auth']}", "--auth-host=scram-sha-256"]
    command += locale_options(order["version"])
    if order["version"] >= SETTINGS_BY_INITDB:
        command += settings_options(order)
    if order["password"]:
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(order["password"], "utf-8")
        if order["account"]:
            os.chown(secret, *order["account"])
        command += [f"--pwfile={secret}"]
    with child(command, order, log) as initdb:
        lease.wait(lambda: initdb.poll() is not None)
    (folder / "password").unlink(missing_ok=True)
    if initdb.returncode:
        raise StartError(f"initdb failed: {trouble(log)}")


def settings_options(order: Order) -> list[str]:
    """The settings as initdb and postgres take them."""
    return [word for name, value in order["settings"].items() for word in ("-c", f"{name}={value}")]


def locale_options(version: int) -> list[str]:
    """Code point order and Unicode upper and lower case, the same on every machine where it can be had."""
    if version >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return ["--locale=C"]
    return ["--locale=C", "--lc-ctype=C.UTF-8"]


def is_ready(data: Path, deadline: float) -> bool:
    """Whether postgres says so, on line 8 of its pid file. Raises StartError past the deadline."""
    if time.monotonic() > deadline:
        raise StartError(f"postgres was not ready after {START_SECONDS:.0f} s")
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def free_port() -> int:
    """A TCP port that was free just now; who binds it must be ready to lose the race."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def child(command: Sequence[str | Path], order: Order, log: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as the server's account; when the block ends, it and all its descendants have."""
    alive, inherited = os.pipe()
    try:
        process = spawn(command, order["account"], log, inherited)
        try:
            yield process
        finally:
            stop(process)
            select.select([alive], (), (), 5)  # its end is the end of the last process that inherited it
    finally:
        os.close(alive)


def spawn(
    command: Sequence[str | Path], account: tuple[int, int] | None, log: BinaryIO, inherited: int
) -> subprocess.Popen[bytes]:
    """Start a program as the account; it gets the descriptor `inherited` and we close ours."""
    identity = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    try:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},  # none of the owner's PG* variables
            pass_fds=(inherited,),
            **identity,  # type: ignore[call-overload]
        )
        return process
    except (OSError, subprocess.SubprocessError) as error:
        who = f"user id {account[0]}" if account else "this user"
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"cannot run {command[0]} as {who}: {reason}") from None
    finally:
        os.close(inherited)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop and reap; for postgres these signals mean: disconnect everybody, drop everything, die."""
    for number, seconds in ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, None)):
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)


_TROUBLE = re.compile(
    r"\b(?:(?:FATAL|PANIC|ERROR|error): +(.+)|LOG: +((?:unrecognized|invalid value|could not bind).+))"
)


def trouble(log: BinaryIO) -> str:
    """What went wrong, out of a log: the first thing that reads like it, else the last line."""
    log.seek(0)
    lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    found = [each[1] or each[2] for line in lines if (each := _TROUBLE.search(line))]
    return (found[:1] or lines[-1:] or ["it said nothing"])[0]


def remove(folder: Path) -> None:
    """Remove the folder; retried, because a dying process may still have written a file into it."""
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.05)


if __name__ == "__main__":
    main()
    sys.exit()
