"""A workload comes back from its file as it was, and every other file is refused in one line."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbperf.errors import InputError, StoreError
from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Sample, Statement, Unseen, Workload
from dbperf.workload import values
from dbperf.workload.file import load, save
from dbperf.workload.store.tables import HEAD

PARAMETERS: tuple[Any, ...] = (
    None,
    True,
    2**70,
    1.5,
    "a \u2028 \0 ü",
    b"\x00\xff",
    Decimal("1.10"),
    date(2024, 2, 29),
    datetime(2024, 2, 29, 1, 2, 3, 4),
    datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    time(1, 2, 3, 4, tzinfo=UTC),
    timedelta(days=-1, microseconds=1),
    UUID(int=7),
    [1, [Decimal(2), (3,)]],
    (1, "b", (None,)),
)
LINE = CallSite("/srv/ü.py", 3, "f", 0)
STATEMENT = Statement(
    sql="select ü",
    fingerprint="f1",
    dialect="postgresql",
    database="db/5432/shop",
    calls=3,
    parameter_sets=4,
    rows=5,
    unread_rows=2,
    errors=6,
    timeouts=1,
    cancellations=7,
    wait_seconds=0.1,
    execute_seconds=0.3,
    fetch_seconds=0.2,
    latency=Latency(((3, 1), (90, 2))),
    call_sites=(CallSite("/srv/a.py", 1, "f", 2), CallSite("/srv/b.py", 2, "g", 1)),
    failures=(("IntegrityError", 4), ("asyncpg.UniqueViolationError", 2)),
    operations=(("GET /ü/{id}", 2), ("job", 1)),
    accesses=(
        Access("lazy", "job", LINE, "selectinload(A.bs)", LINE, 1, 2, 30, 4),
        Access("again", "GET /ü/{id}", None, "", None, 1, 1),
    ),
    samples=(Sample("select 'ü', $1", PARAMETERS), Sample("select 1")),
)
FIGURES = (
    Figure("held", "/srv/a b.py:7 f.<locals>.g", "db/5432/shop", (("leaked_ns", 9), ("leaks", 1))),
    Figure("operation", "GET /ü/{id}", "", (("calls", 2), ("marker * 100 %", 1), ("marker_ns * 100 %", 7))),
    Figure("pool", "QueuePool", "db/5432/shop", (("checkouts", 2**50), ("wait.93", 1))),
)
OTHER = Statement("select 2", "f2", "sqlite", ":memory:")
WORKLOAD = Workload((STATEMENT, OTHER), Unseen(1, 2, 3, 4, 5, 6, 7, 8), ("a note",), FIGURES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "workload.sqlite"


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        load(path)
    says = str(caught.value)
    assert says.startswith(f"{path}: ")
    assert "\n" not in says
    return says.removeprefix(f"{path}: ")


def alone(path: Path) -> bool:
    return [each.name for each in path.parent.iterdir()] == [path.name]


def test_round_trip(file: Path) -> None:
    save(WORKLOAD, file)
    assert load(file) == WORKLOAD
    assert repr(load(file)) == repr(WORKLOAD)
    assert alone(file)


def test_an_empty_workload(file: Path) -> None:
    save(Workload(), str(file))
    assert load(str(file)) == Workload()


def test_text_that_has_no_utf_8(file: Path) -> None:
    save(
        Workload(
            (Statement("select '\ud800'", "f", "sqlite", "d", samples=(Sample("\ud800", ("\ud800",)),)),)
        ),
        file,
    )
    (statement,) = load(file).statements
    assert statement.sql == "select '\\ud800'"
    assert statement.samples[0].parameters == ("\ud800",)


@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_a_value_keeps_its_type(value: Any) -> None:
    (back,) = values.loads(values.dumps((value,)))
    assert (back, type(back)) == (value, type(value))


def test_not_a_number_is_kept() -> None:
    back = values.loads(values.dumps((float("nan"), float("-inf"), Decimal("NaN"))))
    assert repr(back) == "(nan, -inf, Decimal('NaN'))"


@pytest.mark.parametrize("text", ['[{"what": 1}]', "[{}]", "1", "[", '[{"uuid": 1}]', '[{"decimal": "x"}]'])
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is of the value's type
        values.loads(text)


def test_only_its_owner_reads_parameters(file: Path) -> None:
    before = os.umask(0o022)
    try:
        save(WORKLOAD, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        save(Workload((OTHER,)), file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        save(WORKLOAD, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_through_a_link_the_file_is_replaced(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(file)
    save(WORKLOAD, link)
    save(Workload(), link)
    assert link.is_symlink()
    assert load(file) == Workload()


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table statement (id)")
        database.commit()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(os.urandom(5000)), "not a file that dbperf wrote"),
        (lambda path: path.write_text("select 1;\n"), "not a file that dbperf wrote"),
        (lambda path: path.write_text("SQLite format 3"), "not a file that dbperf wrote"),
        (other_database, "another program's SQLite database, not a file that dbperf wrote"),
        (lambda path: path.mkdir(), "not a file"),
    ],
)
def test_a_file_that_is_no_workload(file: Path, make: Any, says: str) -> None:
    make(file)
    assert refused(file) == says
    before = file.is_dir() or file.read_bytes()
    with pytest.raises(InputError) as caught:
        save(WORKLOAD, file)
    assert str(caught.value) == f"{file}: exists and is not a dbperf workload, so it is not overwritten"
    assert before == (file.is_dir() or file.read_bytes())
    assert alone(file)


def test_an_empty_file_is_none_but_may_become_one(file: Path) -> None:
    file.touch()
    assert refused(file) == "the file is empty"
    save(WORKLOAD, file)
    assert load(file) == WORKLOAD


def test_a_missing_file(file: Path) -> None:
    assert refused(file) == os.strerror(errno.ENOENT)


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("9999", f"written by a newer dbperf (schema 9999, this one knows {HEAD}): upgrade dbperf"),
        (
            "0000",
            f"written by an older dbperf (schema 0000, this one needs {HEAD}): run dbperf store upgrade ",
        ),
    ],
)
def test_another_schema(file: Path, revision: str, says: str) -> None:
    save(WORKLOAD, file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("update alembic_version set version_num = ?", (revision,))
        database.execute("drop table statement")
        database.commit()
    assert refused(file).startswith(says)


@pytest.mark.parametrize(
    "damage",
    [
        "drop table statement",
        "alter table sample drop column parameters",
        "update sample set parameters = 'x'",
        "update minute set latency = '3*'",
        "update minute set sites = 'x*1'",
        "update minute set operations = '1'",
        "update figure_minute set counts = 'calls'",
        "update label set body = 'x' where kind = 'access'",
        "update label set body = '5' where kind = 'access'",
        "drop table figure",
    ],
)
def test_tables_that_are_not_ours(file: Path, damage: str) -> None:
    save(WORKLOAD, file)
    with closing(sqlite3.connect(file)) as database:
        database.execute(damage)
        database.commit()
    assert refused(file).startswith("the store is damaged")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_torn_file(file: Path, share: float) -> None:
    save(WORKLOAD, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    refused(file)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_nothing_else(file: Path, data: st.DataObject) -> None:
    save(WORKLOAD, file)
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        file.write_bytes(content)
        assert isinstance(load(file), Workload)
    except StoreError:
        refused(file)
    finally:
        file.unlink()


@pytest.mark.parametrize(
    "path", ["missing/workload.sqlite", "file/workload.sqlite", "x" * 300], ids=["folder", "file", "name"]
)
def test_a_place_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        save(WORKLOAD, tmp_path / path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / path))


FULL_DISK = """
import sys
from dbperf.errors import InputError
from dbperf.model.workload import Statement, Workload
from dbperf.workload.file import save
try:
    save(Workload(tuple(Statement("x" * 5000, str(each), "sqlite", "d") for each in range(100))), sys.argv[1])
except InputError as error:
    print(error)
"""


def test_a_full_disk_loses_nothing(file: Path) -> None:
    save(WORKLOAD, file)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)],
        preexec_fn=little_room,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith(f"{file}: cannot write the workload: ")
    assert done.stdout.count("\n") == 1
    assert load(file) == WORKLOAD
    assert alone(file)
