"""`dbperf record`: whatever is run, all its statements are there, and the program notices nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

from dbperf.model.workload import Workload
from dbperf.recording import environment
from dbperf.workload.file import load
from dbperf.workload.spool import read_spools

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

PROGRAMS = Path(__file__).with_name("programs")
PYTHON = sys.executable
ONE = (
    "import sqlalchemy as s; e = s.create_engine('sqlite://');"
    " e.connect().execute(s.text('SELECT :a AS one'), {'a': 'secret'})"
)


def program(name: str) -> str:
    return str(PROGRAMS / f"{name}.py")


def calls(workload: Workload) -> dict[str, int]:
    """Calls by the name that a statement gives to its column."""
    return {re.findall(r" AS (\w+)", each.sql)[0]: each.calls for each in workload.statements}


def recorded(dbperf: CommandLine) -> dict[str, int]:
    return calls(load(dbperf.folder / "dbperf.sqlite"))


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_way_to_make_an_engine(dbperf: CommandLine) -> None:
    done = dbperf("record", "--", PYTHON, program("every_way"), dbperf.folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "dbperf: 115 calls of 14 statements by 1 process recorded in dbperf.sqlite;"
        " next: dbperf analyze --db URL --workload dbperf.sqlite\n"
    )
    assert recorded(dbperf) == {
        "plain": 1,
        "copy": 1,
        "config": 1,
        "plugin": 1,
        "own": 1,
        "own_store": 1,
        "own_parameters": 1,
        "listening": 1,
        "instrumented_again": 1,
        "before_close": 1,
        "gone": 3,
        "asynchronous": 1,
        "thread": 100,
        "at_exit": 1,
    }
    assert not (dbperf.folder / "own.sqlite").exists()
    assert not any(each.samples for each in load(dbperf.folder / "dbperf.sqlite").statements)


def test_children_of_every_kind(dbperf: CommandLine) -> None:
    done = dbperf("record", "sh", "-c", f"{PYTHON} {program('children')}; exit 3")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("dbperf: 60 calls of 8 statements by 11 processes recorded")
    five = ("forked", "before_exec", "after_exec", "daemon")
    ten = ("parent", "fork", "spawn", "forkserver")
    assert recorded(dbperf) == dict.fromkeys(five, 5) | dict.fromkeys(ten, 10)


def test_a_daemon_that_stays_is_told_of(dbperf: CommandLine) -> None:
    done = dbperf("record", "--", PYTHON, program("children"), "stays", "enough")
    dbperf.write("enough", "")
    assert "; 1 process still running, not recorded any more; next: " in done.stderr
    assert recorded(dbperf) == {"daemon": 2}


SERVERS = {
    "uvicorn": ("-m", "uvicorn", "--app-dir", PROGRAMS, "--port", "{}", "web:asgi"),
    "uvicorn --workers": ("-m", "uvicorn", "--app-dir", PROGRAMS, "--workers=2", "--port", "{}", "web:asgi"),
    "gunicorn": ("-m", "gunicorn", "--chdir", PROGRAMS, "--workers=2", "--bind=127.0.0.1:{}", "web:wsgi"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_told_to_stop(dbperf: CommandLine, name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answers = 0

    def answered() -> bool:
        nonlocal answers
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                answers += answer.status == 200
        except OSError:
            return False
        return True

    process = dbperf.start("record", "--", PYTHON, *(str(each).format(port) for each in SERVERS[name]))
    until(answered)
    for _ in range(20):
        assert answered()
    os.kill(process, signal.SIGTERM)
    done = dbperf.finish()
    # uvicorn, alone, dies of the signal it was sent.
    assert done.returncode == (128 + signal.SIGTERM if name == "uvicorn" else 0)
    assert recorded(dbperf) == {"asked": answers}


def test_pytest_with_xdist(dbperf: CommandLine) -> None:
    test = f"def test(): import sqlalchemy as s; {ONE.partition('; ')[2]}\n"
    for number in range(4):
        dbperf.write(f"test_{number}.py", test)
    done = dbperf("record", "--", PYTHON, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider")
    assert (done.returncode, "4 passed" in done.stdout) == (0, True)
    assert recorded(dbperf) == {"one": 4}


def test_output_errors_and_exit_code_are_the_programs_own(dbperf: CommandLine) -> None:
    command = [PYTHON, program("outcry"), "an argument"]
    environment = os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": str(PROGRAMS)}
    plain, with_record = (
        subprocess.run([*before, *command], cwd=dbperf.folder, capture_output=True, env=environment)
        for before in ([], [PYTHON, "-m", "dbperf", "record", "--"])
    )
    assert plain.returncode == with_record.returncode == 1
    assert plain.stdout == with_record.stdout
    assert b"UNIQUE constraint failed" in plain.stderr
    own, mine, line = with_record.stderr.rpartition(b"dbperf: ")
    assert (own, line.startswith(b"5 calls")) == (plain.stderr, True)
    assert mine


IN_SPOOL = f"import sys; sys.path.append({str(PROGRAMS)!r}); import patience"
ENDS = {
    "exits": ("raise SystemExit(5)", 5),
    "exits at once": ("import os; os._exit(6)", 6),
    "becomes another program": ("import os; os.execv('/bin/sh', ['sh', '-c', 'exit 7'])", 7),
    "signals itself": ("import signal; signal.raise_signal(signal.SIGALRM)", 128 + signal.SIGALRM),
    "is killed": (f"{IN_SPOOL}; import os; os.kill(os.getpid(), 9)", 128 + signal.SIGKILL),
}


@pytest.mark.parametrize("way", ENDS)
def test_however_it_ends(dbperf: CommandLine, way: str) -> None:
    ending, code = ENDS[way]
    done = dbperf("record", "--", PYTHON, "-c", f"{ONE}; {ending}")
    assert (done.returncode, recorded(dbperf)) == (code, {"one": 1})


def test_signals_reach_the_program(dbperf: CommandLine) -> None:
    waits = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(9)); open('ready', 'w'); signal.pause()"
    )
    process = dbperf.start("record", "--", PYTHON, "-c", f"{ONE}; {waits}")
    until((dbperf.folder / "ready").exists)
    os.kill(process, signal.SIGTERM)
    assert (dbperf.finish().returncode, recorded(dbperf)) == (9, {"one": 1})


@pytest.mark.parametrize("fails", [False, True])
def test_a_sitecustomize_of_the_programs_own(tmp_path: Path, fails: bool) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine', __file__, __spec__.name)\n" + "1 / 0" * fails)
    command = [PYTHON, "-c", f"{ONE}; import sys; print('sitecustomize' in sys.modules)"]
    plain = os.environ | {"PYTHONPATH": str(tmp_path)}
    ours = plain | environment(str(tmp_path), parameters=False)
    ours["PYTHONPATH"] += os.pathsep + str(tmp_path)
    without, with_record = (
        subprocess.run(command, cwd="/", capture_output=True, text=True, env=each) for each in (plain, ours)
    )
    assert ("ZeroDivisionError" in without.stderr, without.stdout.count("mine")) == (fails, 1)
    assert (without.stdout, without.stderr) == (with_record.stdout, with_record.stderr)
    (spooled,) = read_spools(tmp_path, [])
    assert [each.calls for batch in spooled.batches for each in batch.seen.observed] == [1]


def test_parameters_only_when_asked_for(dbperf: CommandLine) -> None:
    place = dbperf.folder / "dbperf.sqlite"
    assert dbperf("record", "--", PYTHON, "-c", ONE).returncode == 0
    assert b"secret" not in place.read_bytes()
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert dbperf("record", "--parameters", "--", PYTHON, "-c", ONE).returncode == 0
    ((sample,),) = [each.samples for each in load(place).statements]
    assert sample.parameters == ("secret",)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_store_in_the_environment_is_not_written(dbperf: CommandLine) -> None:
    done = dbperf("record", "--", "env", "DBPERF_STORE=mine.sqlite", PYTHON, "-c", ONE)
    assert (done.returncode, recorded(dbperf)) == (0, {"one": 1})
    assert not (dbperf.folder / "mine.sqlite").exists()


def test_another_environment_that_has_no_dbperf(dbperf: CommandLine) -> None:
    place = dbperf.folder / "other"
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    for name in ("sqlalchemy", "typing_extensions.py", "greenlet"):
        (site / name).symlink_to(Path(sqlalchemy.__file__).parents[1] / name)
    python = place / "bin" / "python"
    assert subprocess.run([python, "-c", "import dbperf"], cwd="/", capture_output=True).returncode == 1
    done = dbperf("record", "--", python, "-c", ONE)
    assert (done.returncode, recorded(dbperf)) == (0, {"one": 1})


def test_a_spool_that_has_no_room_for_a_while(dbperf: CommandLine) -> None:
    limited = (
        "import resource as r, signal; limit = r.getrlimit(r.RLIMIT_FSIZE)[1];"
        "r.setrlimit(r.RLIMIT_FSIZE, (700, limit));"
        "import sqlalchemy as s; c = s.create_engine('sqlite://').connect();"
        "[c.execute(s.text(f'SELECT {i} AS n{i}')) for i in range(30)];"
        "import dbperf.workload.flush as f; f.flusher.flush(9); f.flusher.flush(9);"
        "r.setrlimit(r.RLIMIT_FSIZE, (limit, limit)); print('unharmed')"
    )
    done = dbperf("record", "--", PYTHON, "-c", limited)
    assert (done.returncode, done.stdout) == (0, "unharmed\n")
    assert "dbperf: 30 calls of 30 statements" in done.stderr
    assert re.search(r"; \d writes failed and came later; next: ", done.stderr)
    assert recorded(dbperf) == {f"n{number}": 1 for number in range(30)}


OLD = "import sqlalchemy; sqlalchemy.__version__ = '1.4.54'"
FULL = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (0, 0))"
NOTHING = {
    "not Python": (["true"], "no Python that it started could be reached (python -I, -E, -S, an"),
    "python -I": ([PYTHON, "-I", "-c", ONE], ": add ?plugin=dbperf to the URL of its engine"),
    "no engine": (
        [PYTHON, "-c", "1"],
        "Python ran, and no SQLAlchemy engine was made by create_engine: add ?",
    ),
    "no statement": ([PYTHON, "-c", ONE.rpartition("; ")[0]], "its engines ran no statement"),
    "settings": (["env", "DBPERF_MAX_STATEMENTS=x", PYTHON, "-c", ONE], ": DBPERF_MAX_STATEMENTS: max_sta"),
    "switched off": (["env", "DBPERF_ENABLED=0", PYTHON, "-c", ONE], "dbperf is switched off there"),
    "old": ([PYTHON, "-c", f"{OLD}; {ONE}"], "its SQLAlchemy is 1.4.54; 2.0.30 or later is recorded"),
    "full": (
        [PYTHON, "-c", f"{FULL}; {ONE}"],
        "its processes could not write to their spool: is the disk of /tmp full?",
    ),
}


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_recorded_and_why(dbperf: CommandLine, case: str) -> None:
    kept = dbperf.write("dbperf.sqlite", b"")
    command, why = NOTHING[case]
    done = dbperf("record", "--", *command)
    assert (done.returncode, done.stdout) == (0, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("dbperf: nothing recorded: ")
    assert why in line
    assert kept.read_bytes() == b""


def test_python_isolated_with_the_plugin_is_recorded(dbperf: CommandLine) -> None:
    dbperf("record", "--", PYTHON, "-I", "-c", ONE.replace("sqlite://", "sqlite://?plugin=dbperf"))
    assert recorded(dbperf) == {"one": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["record"], "Missing argument '-- CMD...'"),
        (["record", "--", "no-such-command"], "no-such-command: No such file or directory"),
        (["record", "--", "."], ".: Permission denied"),
        (["record", "-o", "no/x.sqlite", "--", "touch", "ran"], "-o no/x.sqlite: there is no folder no"),
        (["record", "-o", ".", "--", "touch", "ran"], "-o .: is a folder"),
        (
            ["record", "-o", "notes.txt", "--", "touch", "ran"],
            "notes.txt: exists and is not a dbperf workload",
        ),
    ],
)
def test_refused_before_the_program_runs(dbperf: CommandLine, arguments: list[str], says: str) -> None:
    dbperf.write("notes.txt", "mine")
    assert says in dbperf.refused(*arguments)
    assert not (dbperf.folder / "ran").exists()


def test_what_cannot_be_written_at_the_end_is_kept(dbperf: CommandLine) -> None:
    command = f"{shlex.quote(PYTHON)} -c {shlex.quote(ONE)} && mkdir here.sqlite"
    done = dbperf("record", "-o", "here.sqlite", "--", "sh", "-c", command)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    (spools,) = re.findall(r"dbperf store merge (\S+) --into FILE$", line)
    assert dbperf("store", "merge", spools, "--into", "kept.sqlite").returncode == 0
    assert calls(load(dbperf.folder / "kept.sqlite")) == {"one": 1}
    shutil.rmtree(spools)
