"""The owner's side of the lease on an embedded server; supervisor.py is the other side."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbperf.embedded import supervisor
from dbperf.errors import EmbeddedError

STOP_SECONDS = 60.0  # more than the supervisor's own deadlines together

_begun: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()
_forking = threading.RLock()


def _after_fork() -> None:
    # A forked child has the pipe's end as well: while it keeps that, the server would outlive its owner.
    for lease in list(_begun):
        _disown(lease)
    _forking.release()


os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_after_fork)


def begin(order: supervisor.Order) -> tuple[subprocess.Popen[bytes], Path, Mapping[str, Any]]:
    """Start a supervisor and wait until its server takes connections; its process, folder and last message.

    Raises EmbeddedError with the reason, when all is gone again.
    """
    with _forking:
        lease = _supervisor()
        _begun.add(lease)
    folder = None
    try:
        assert lease.stdin
        with contextlib.suppress(BrokenPipeError):
            lease.stdin.write(json.dumps(order).encode() + b"\n")
        folder = Path(_heard(lease, "folder")["folder"])
        return lease, folder, _heard(lease, "port")
    except BaseException:
        end(lease, folder)
        raise


def _supervisor() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", supervisor.__file__],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Not ours: whoever reads our stderr to its end should not have to wait for the server's.
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )
    except OSError as error:
        raise EmbeddedError(f"the embedded PostgreSQL did not start: {error}") from None


def _heard(lease: subprocess.Popen[bytes], key: str) -> dict[str, Any]:
    assert lease.stdout
    line = lease.stdout.readline()
    message: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"error": "its supervisor died"}
    if key not in message:
        raise EmbeddedError(f"the embedded PostgreSQL did not start: {message['error']}")
    return message


def keep(lease: subprocess.Popen[bytes]) -> None:
    """Have the server outlive us. Raises EmbeddedError where it has ended already."""
    assert lease.stdin
    if lease.stdin.closed or _is_over(lease, 0):
        raise EmbeddedError("the embedded PostgreSQL has stopped already")
    lease.stdin.write(b"keep\n")
    _disown(lease)


def _disown(lease: subprocess.Popen[bytes]) -> None:
    """Let go of the supervisor: it was kept, or belongs to the process we were forked from."""
    _hang_up(lease)
    lease.returncode = 0  # else Popen warns of a child that nobody waited for


def end(lease: subprocess.Popen[bytes], folder: Path | None) -> None:
    """End the lease and wait until server and data are gone; where the supervisor was killed, do its work."""
    assert lease.stdin
    if lease.stdin.closed:  # disowned
        return
    lease.stdin.close()
    if not _is_over(lease, STOP_SECONDS):
        lease.kill()
    if folder and folder.exists():
        _clear(lease, folder)
    _hang_up(lease)
    lease.wait()


def _is_over(lease: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the supervisor's stdout ends within `seconds`; not by waitpid, see _clear."""
    assert lease.stdout
    poll = select.poll()  # select() takes no descriptor above 1023
    poll.register(lease.stdout, select.POLLIN)
    deadline = time.monotonic() + seconds
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if not os.read(lease.stdout.fileno(), 4096):
            return True
    return False


def _clear(lease: subprocess.Popen[bytes], folder: Path) -> None:
    """Stop what runs in the supervisor's process group and remove the folder.

    Before the supervisor is reaped: until then nobody else's process group can have its number.
    """
    running = folder / "data/postmaster.pid"
    _signal_group(lease, signal.SIGQUIT)
    deadline = time.monotonic() + 5
    while running.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal_group(lease, signal.SIGKILL)
    supervisor.remove(folder)


def _signal_group(lease: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: not permitted when all are dead
        os.killpg(lease.pid, number)


def _hang_up(lease: subprocess.Popen[bytes]) -> None:
    assert lease.stdin
    assert lease.stdout
    lease.stdin.close()
    lease.stdout.close()
