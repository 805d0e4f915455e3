"""However the owner of an embedded server ends, neither process nor file of it is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dbperf.embedded import Server, start
from dbperf.errors import EmbeddedError

OWNER = """
import os, signal, sys, time
from dbperf.embedded import start
{before}
server = start()
print(server.dsn(), flush=True)
{after}
signal.pause()
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR for one test's servers: short enough for a socket, and open to the account they run as."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def processes(place: Path) -> dict[int, str]:
    """Supervisors and servers of this place, by process id."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (each / "cmdline").read_text()
            supervises = "supervisor.py" in command and f"TMPDIR={place}" in (each / "environ").read_text()
            if (
                supervises
                or str(place) in command
                or str(each.joinpath("cwd").readlink()).startswith(str(place))
            ):
                found[int(each.name)] = command
    return found


def supervisor(place: Path) -> int | None:
    return next((pid for pid, command in processes(place).items() if "supervisor.py" in command), None)


def nothing_left(place: Path) -> bool:
    return not list(place.iterdir()) and not processes(place)


@contextlib.contextmanager
def owner(before: str = "", after: str = "") -> Iterator[subprocess.Popen[str]]:
    program = OWNER.format(before=before, after=after)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_close_leaves_nothing_and_may_be_called_twice(place: Path) -> None:
    server = start()
    assert server.folder.parent == place
    assert processes(place)
    server.close()
    assert nothing_left(place)
    server.close()
    with pytest.raises(EmbeddedError, match="has stopped already"):
        server.keep()


def test_an_exception_in_the_block(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), start():
        raise ZeroDivisionError
    assert nothing_left(place)


def test_a_killed_owner(place: Path) -> None:
    with owner() as process:
        connection = psycopg.connect(first_line(process))  # open to the end
        process.kill()
        until(lambda: nothing_left(place))
        connection.close()


STAGES: dict[str, Callable[[Path], object]] = {
    "spawned": supervisor,
    "folder": lambda place: list(place.iterdir()),
    "initdb": lambda place: list(place.glob("*/data/PG_VERSION")),
    "bootstrap": lambda place: list(place.glob("*/data/global/pg_control")),
    "postgres": lambda place: list(place.glob("*/data/postmaster.pid")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_an_owner_killed_while_starting(stage: str, place: Path) -> None:
    with owner() as process:
        until(lambda: STAGES[stage](place))
        process.kill()
        until(lambda: nothing_left(place))


@pytest.mark.parametrize("stage", STAGES)
def test_a_supervisor_killed_while_starting(stage: str, place: Path) -> None:
    def murder() -> None:
        until(lambda: STAGES[stage](place))
        if victim := supervisor(place):
            os.kill(victim, signal.SIGKILL)

    murderer = threading.Thread(target=murder)
    murderer.start()
    with contextlib.suppress(EmbeddedError):
        start().close()  # without an error where the last stage had gone by before the murderer looked
    murderer.join()
    until(lambda: nothing_left(place))


def test_a_killed_supervisor(place: Path) -> None:
    with start():
        victim = supervisor(place)
        assert victim
        os.kill(victim, signal.SIGKILL)
    assert nothing_left(place)


def test_a_killed_postgres(place: Path) -> None:
    with start() as server:
        os.kill(int((server.folder / "data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        until(lambda: nothing_left(place))
        with pytest.raises(EmbeddedError, match="has stopped already"):
            server.keep()


def test_ctrl_c_reaches_the_owner_alone(place: Path) -> None:
    handler = "signal.signal(signal.SIGINT, lambda *_: print('heard', flush=True))"
    with owner(before=handler, after="signal.pause()") as process:
        dsn = first_line(process)
        os.killpg(process.pid, signal.SIGINT)
        assert first_line(process) == "heard"
        psycopg.connect(dsn).close()
        os.killpg(process.pid, signal.SIGTERM)  # unhandled: no Python code runs any more
        until(lambda: nothing_left(place))


def test_a_forked_child_does_not_keep_the_server(place: Path) -> None:
    fork = "if (child := os.fork()) == 0: server.close(); signal.pause()\nprint(child, flush=True)"
    with owner(after=fork) as process:
        dsn = first_line(process)
        child = int(first_line(process))
        try:
            psycopg.connect(dsn).close()
            process.kill()
            until(lambda: nothing_left(place))
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_started_child_does_not_keep_the_server(place: Path) -> None:
    spawn = """
import subprocess
child = subprocess.Popen(["sleep", "60"], close_fds=False)
print(child.pid, flush=True)
"""
    with owner(after=spawn) as process:
        first_line(process)
        child = int(first_line(process))
        try:
            process.kill()
            until(lambda: nothing_left(place))
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_kept_server_stays_until_it_is_told(number: signal.Signals, place: Path) -> None:
    with owner(after="print(server.keep(), flush=True); server.close(); sys.exit()") as process:
        dsn = first_line(process)
        command, pid = first_line(process).split()
        assert command == "kill"
        assert process.wait(30) == 0
    psycopg.connect(dsn).close()
    os.kill(int(pid), number)
    until(lambda: nothing_left(place))


def test_nobody_waits_for_the_end_of_our_output(place: Path) -> None:
    """A kept server holds no pipe of its owner's: who reads the owner's output sees its end."""
    program = OWNER.format(before="", after="server.keep(); print(supervisor := server.folder); sys.exit()")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    assert str(place) in done.stdout
    victim = supervisor(place)
    assert victim
    os.kill(victim, signal.SIGTERM)
    until(lambda: nothing_left(place))


def test_closing_in_another_thread(place: Path) -> None:
    servers: list[Server] = []
    starter = threading.Thread(target=lambda: servers.append(start()))
    starter.start()
    starter.join()
    psycopg.connect(servers[0].dsn()).close()  # though the thread that started it is gone
    closer = threading.Thread(target=servers[0].close)
    closer.start()
    closer.join()
    assert nothing_left(place)


@pytest.mark.parametrize("name", ["d" * 90, "a,b"], ids=["deep", "comma"])
def test_a_temporary_folder_that_no_socket_can_be_in(
    name: str, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    unfit = place / name
    unfit.mkdir()
    unfit.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(unfit))
    with start() as server:
        psycopg.connect(server.dsn()).close()
    assert not server.folder.exists()
    unfit.rmdir()
