"""A store's tables are the same however they were made, and change under those who read and write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dbperf.errors import InputError, StoreError
from dbperf.model.histogram import Latency
from dbperf.model.workload import CallSite, Observed, Seen, Statement, Unseen, Workload, Writer
from dbperf.workload.file import save
from dbperf.workload.fold import fold
from dbperf.workload.store import tables
from dbperf.workload.store.connect import connect, place_of
from dbperf.workload.store.merge import merge
from dbperf.workload.store.read import read
from dbperf.workload.store.upgrade import upgrade
from dbperf.workload.store.writer import StoreWriter

MARKS = ("application_id", "user_version")
SEEN = (Observed("select 1", "sqlite", "qmark", "/shop", calls=3),)


def schema(file: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as database:
        pragmas = [
            database.execute(f"PRAGMA {each}").fetchone() for each in ("application_id", "user_version")
        ]
        return sorted(database.execute("SELECT type, name, sql FROM sqlite_master")) + pragmas


def test_a_new_file_has_what_the_migrations_make(tmp_path: Path) -> None:
    new, migrated = tmp_path / "new.sqlite", tmp_path / "migrated.sqlite"
    StoreWriter(str(new), Writer(1, "host", 1, 0.0)).write(1e9, Seen(SEEN))
    assert upgrade(migrated, "0001") == ("", "0001")
    assert upgrade(migrated) == ("0001", tables.HEAD)
    assert schema(new) == schema(migrated)
    with connect(place_of(migrated), "read") as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    assert read(migrated) == Workload()


def test_there_and_back_keeps_the_history(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    StoreWriter(str(file), Writer(1, "host", 1, 0.0)).write(1e9, Seen(SEEN))
    before = schema(file)
    assert upgrade(file, "0001") == (tables.HEAD, "0001")
    with pytest.raises(StoreError, match=r"older dbperf .* run dbperf store upgrade"):
        read(file)
    assert upgrade(file) == ("0001", tables.HEAD)
    assert upgrade(file) == (tables.HEAD, tables.HEAD)
    assert schema(file) == before
    assert read(file) == fold(SEEN)


OLD = """
INSERT INTO statement VALUES (7, 'SELECT $1', 'abc', 'sqlite', '/shop', 60);
INSERT INTO site VALUES (8, '/srv/a.py', 9, 'f');
INSERT INTO writer VALUES (1, 'host', 2, 60, 90, 3, 4, 5, 6);
INSERT INTO minute VALUES (7, 60, 1, 10, 10, 20, 1, 2, 5000000000, '40*10', '8*10');
INSERT INTO hour VALUES (7, 0, 3, 100, 100, 200, 0, 0, 5000000000, '40*90 41*10', '8*100');
"""


def test_what_an_older_store_holds_stays(tmp_path: Path) -> None:
    file, other = tmp_path / "store.sqlite", tmp_path / "other.sqlite"
    upgrade(file, "0002")
    with closing(sqlite3.connect(file)) as database:
        database.executescript(OLD)
    assert upgrade(file) == ("0002", tables.HEAD)
    latency, sites = Latency(((40, 100), (41, 10))), (CallSite("/srv/a.py", 9, "f", 110),)
    counts = {"calls": 110, "parameter_sets": 110, "rows": 220, "errors": 1, "cancellations": 2}
    statement = Statement("SELECT $1", "abc", "sqlite", "/shop", **counts, execute_seconds=10.0)
    expected = replace(statement, latency=latency, call_sites=sites)
    unseen = Unseen(folded_calls=4, observer_failures=5, flush_failures=6)
    assert read(file) == Workload((expected,), unseen)
    merge(other, file)
    with closing(sqlite3.connect(file)) as database:  # its process goes on, in the same minute
        database.execute("UPDATE minute SET calls = 11, fetch_ns = 1000000000, counted = 1000000011")
        database.commit()
    merge(other, file)
    assert read(other).statements == (replace(expected, calls=111, fetch_seconds=1.0),)
    upgrade(file, "0002")
    upgrade(file)
    assert read(file).statements == (replace(expected, calls=111),)


def test_of_two_upgrades_the_second_finds_it_done(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    upgrade(file, "0001")
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: upgrade(file), range(4)))
    assert sorted(done) == [("0001", tables.HEAD)] + 3 * [(tables.HEAD, tables.HEAD)]


def test_many_who_find_no_file_make_one(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"

    def write(number: int) -> None:
        StoreWriter(str(file), Writer(number, "host", number, 0.0)).write(1e9, Seen(SEEN))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    assert [each.calls for each in read(file).statements] == [18]


@pytest.mark.parametrize("revision", ["", "0000", "0004", "head", "-1", "../0001"])
def test_a_revision_that_there_is_not(tmp_path: Path, revision: str) -> None:
    with pytest.raises(InputError, match=r"revisions are 0001 to 0003$"):
        upgrade(tmp_path / "store.sqlite", revision)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    save(fold(SEEN), file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("update alembic_version set version_num = '9999'")
        database.commit()
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"newer dbperf \(schema 9999\): upgrade dbperf$"):
        upgrade(file)
    assert file.read_bytes() == before


def test_writing_and_reading_load_neither_alembic_nor_click(tmp_path: Path) -> None:
    program = """
import sys
from dbperf.model.workload import Observed, Seen, Writer
from dbperf.workload.store.read import read
from dbperf.workload.store.writer import StoreWriter
seen = Seen((Observed("select 1", "sqlite", "qmark", "d"),))
StoreWriter("s.sqlite", Writer(1, "h", 1, 0.0)).write(1e9, seen)
read("s.sqlite")
print([each for each in ("alembic", "click", "rich", "psycopg") if each in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
