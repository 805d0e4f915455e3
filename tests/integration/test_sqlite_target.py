"""A SQLite file as a target: read, never touched; copied, counted, built on."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import dbperf
from dbperf.analysis import analyze, replayed
from dbperf.errors import ConnectError, InputError, StatementError
from dbperf.model.index import IndexKey, IndexSpec
from dbperf.model.report import Report
from dbperf.model.runtime import Figure
from dbperf.model.workload import Sample, Statement, Unseen, Workload
from dbperf.plans.sqlite import copy as copying
from dbperf.plans.sqlite import explain as counting
from dbperf.plans.sqlite.target import SqliteTarget, open_sqlite

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, note TEXT);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, owner INT NOT NULL REFERENCES Customers (ID), state TEXT, at TEXT, pad TEXT
);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders
SELECT i, i % 3000, 'state ' || (i % 7), date('2024-01-01', (i % 900) || ' days'), printf('%060d', i) FROM n;
"""
OWNER = "SELECT * FROM orders WHERE owner = $1"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shop") / "shop.db"
    execute(made, f"BEGIN; {SCHEMA} COMMIT;")
    return made


@pytest.fixture
def file(shop: Path, tmp_path: Path) -> Path:
    """A database of the test's own, alone in its folder."""
    (tmp_path / "data").mkdir()
    return Path(shutil.copy(shop, tmp_path / "data"))


@pytest.fixture
def target(file: Path) -> Iterator[SqliteTarget]:
    with open_sqlite(f"sqlite:///{file}") as opened:
        yield opened


def execute(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def given(sql: str, *parameters: object) -> Statement:
    return Statement(sql, sql, "sqlite", "", calls=1, samples=(Sample(sql, parameters),))


def ids(report: Report) -> list[str]:
    return [each.id.removeprefix("DBP101:") for each in report.recommendations]


def folder_of(file: Path) -> dict[str, tuple[int, bytes]]:
    return {each.name: (each.stat().st_mtime_ns, each.read_bytes()) for each in file.parent.iterdir()}


def test_the_catalog(file: Path) -> None:
    execute(
        file,
        """
        CREATE TABLE facts (a INT, b TEXT, c AS (a + 1), PRIMARY KEY (b, a)) WITHOUT ROWID;
        CREATE INDEX ix_part ON orders (owner, at DESC) WHERE state = 'state 1';
        CREATE INDEX ix_lower ON orders (lower(state), at);
        CREATE VIEW open_orders AS SELECT * FROM orders;
        CREATE VIRTUAL TABLE words USING fts5 (body);
        """,
    )
    with open_sqlite(f"sqlite:///{file}") as target:
        tables = target.catalog.tables
    orders, customers, facts = tables["orders"], tables["customers"], tables["facts"]

    assert target.catalog.database == str(file)
    assert (orders.rows, orders.kind, orders.pages > 64) == (20_000, "r", True)
    assert orders.size_bytes % 4096 == 0
    assert [(each.name, each.keys, each.plain, each.predicate) for each in orders.indexes] == [
        ("INTEGER PRIMARY KEY", ("id",), True, ""),
        ("ix_lower", ("(expression)", "at"), False, ""),
        ("ix_part", ("owner", "at"), False, "state = 'state 1'"),
    ]
    assert orders.indexes[2].descending == (False, True)
    (key,) = orders.foreign_keys
    assert (key.columns, key.target) == (("owner",), "customers")
    assert customers.columns["email"].collation == "NOCASE"
    assert [(each.keys, each.unique, each.plain) for each in customers.indexes] == [
        (("id",), True, True),
        (("email",), True, True),
    ]
    assert [(each.keys, each.constraint) for each in facts.indexes] == [(("b", "a"), "PRIMARY KEY")]
    assert (tables["open_orders"].kind, tables["words"].kind) == ("v", "f")
    assert list(tables["open_orders"].columns) == ["id", "owner", "state", "at", "pad"]


def test_what_the_columns_hold_is_sampled(target: SqliteTarget) -> None:
    columns = target.catalog.tables["orders"].columns
    owner, state, pad = (columns[name].distribution for name in ("owner", "state", "pad"))
    assert owner is not None
    assert state is not None
    assert pad is not None
    assert 2_000 < owner.distinct < 6_000
    assert state.distinct == 7
    assert {value for value, _ in state.common} == {f"state {number}" for number in range(7)}
    assert pad.distinct > 15_000
    assert len(pad.bounds) == 101
    assert columns["pad"].average_width == 60


def test_a_table_that_needs_what_the_application_defines_is_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.create_collation("ours", lambda one, other: (one > other) - (one < other))
        connection.create_function("twice", 1, lambda value: 2 * value, deterministic=True)
        connection.executescript(
            "CREATE TABLE odd (a TEXT COLLATE ours, b AS (twice(c)), c INT);"
            "INSERT INTO odd (a, c) VALUES (1, 2);"
        )
    report = analyze(Workload((given("SELECT * FROM odd WHERE c = 1"), given(OWNER, 7))), f"sqlite:///{file}")
    assert ids(report) == ["orders(owner)"]
    assert report.statements[0].verdict.startswith("not explained: ")


def test_steps_are_the_same_at_every_run_and_fall_with_an_index(target: SqliteTarget) -> None:
    build = target.build("production")
    counted = {target.explain(OWNER, (7,)).cost for _ in range(5)}
    with build.indexes((IndexSpec("", "orders", (IndexKey("owner"),)),)) as (index,):
        assert index.size_bytes > 100_000
        plan = build.explain(OWNER, (7,))
        assert (plan.cost, plan.indexes, plan.root.rows) == (1_000, index.shown, 7)
        with build.without(index):
            assert build.explain(OWNER, (7,)).cost in counted
        assert build.explain(OWNER, (7,)).cost == 1_000
    assert counted == {target.explain(OWNER, (7,)).cost}
    assert len(counted) == 1
    assert 3 * 20_000 <= min(counted) <= 5 * 20_000


def test_a_write_is_undone_even_when_it_is_cut_short(
    target: SqliteTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = target.build("production")
    update = "UPDATE orders SET owner = -1, pad = '' WHERE id > $1"
    with build.indexes((IndexSpec("", "orders", (IndexKey("owner"),)),)) as (index,):
        whole = build.explain(update, (0,)).cost
        monkeypatch.setattr(counting, "MAX_STEPS", 20_000)
        assert build.explain(update, (0,)).cost == 20_000 < whole
        assert build.explain("SELECT * FROM orders WHERE owner = $1", (-1,)).root.rows == 0
        assert build.explain(OWNER, (7,)).indexes == index.shown


def test_a_statement_that_never_ends_costs_what_was_counted(target: SqliteTarget) -> None:
    endless = "SELECT count(*) FROM orders a, orders b, orders c WHERE a.pad < b.pad"
    assert target.explain(endless, ()).cost == counting.MAX_STEPS


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'other.db' AS other",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_table_info('orders')",
        "PRAGMA user_version = 7",
        "VACUUM INTO 'other.db'",
        "CREATE VIRTUAL TABLE w USING fts5 (x)",
    ],
)
def test_nothing_reaches_beyond_the_copy(
    target: SqliteTarget, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StatementError):
        counting.count_steps(target.copy, sql, ())
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2**70, "no form in SQLite"),
        ("\ud800", "no form in SQLite"),
        (object(), "type 'object' is not supported"),
    ],
)
def test_a_value_that_does_not_bind(target: SqliteTarget, value: object, reason: str) -> None:
    with pytest.raises(StatementError, match=reason):
        target.explain(OWNER, (value,))


def test_values_of_dates_bind_as_the_driver_writes_them(target: SqliteTarget) -> None:
    sql = "SELECT * FROM orders WHERE at = $1"
    assert target.explain(sql, (date(2024, 1, 2),)).root.rows == 23
    assert target.explain(sql, (datetime(2024, 1, 2, 3),)).root.rows == 0


def test_what_sqlglot_cannot_read_is_left_to_sqlite(target: SqliteTarget) -> None:
    target.check_syntax("SELECT * FROM orders WHERE owner IS ? AND at GLOB ? LIMIT 3")
    with pytest.raises(StatementError, match="syntax error") as error:
        target.check_syntax("SELECT * FROM orders WHERE owner = = ?")
    assert error.value.sqlstate == "42601"


def test_a_question_mark_is_always_a_placeholder(target: SqliteTarget) -> None:
    facts = target.facts(Statement("SELECT * FROM orders WHERE at GLOB ? AND owner = ?", "f", "sqlite", ""))
    assert facts.sql == "SELECT * FROM orders WHERE at GLOB $1 AND owner = $2"
    assert {column.name: column.parameter for column in facts.columns if column.parameter} == {
        "at": 1,
        "owner": 2,
    }


def test_two_statements_in_one_text_are_refused(target: SqliteTarget) -> None:
    with pytest.raises(StatementError, match="one statement at a time"):
        target.explain("SELECT * FROM orders; DELETE FROM orders", ())


@pytest.mark.parametrize(
    "mode", ["delete", "wal", "wal, in use", "wal, in use, by a link", "wal, left behind", "wal, emptied"]
)
def test_the_file_is_not_touched(file: Path, mode: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode = {mode.split(',')[0]}")
        other.execute("UPDATE orders SET owner = 7000 WHERE id > 19990")  # with "wal", only in the log so far
        if mode == "wal, left behind":
            crashed = file.parent.parent / "crashed"
            crashed.mkdir()
            for each in (file, file.with_name("shop.db-wal")):
                shutil.copy(each, crashed)
            file = crashed / "shop.db"
        elif not mode.startswith("wal, in use"):
            other.close()
        if mode == "wal, emptied":
            file.with_name("shop.db-wal").touch()
        before = folder_of(file)
        given_path = file
        if mode.endswith("by a link"):
            given_path = file.parent.parent / "link.db"
            given_path.symlink_to(file)

        report = analyze(
            Workload((given(OWNER, 7000),)), f"sqlite:///{given_path}", environment="disposable", verify=True
        )
        with open_sqlite(f"sqlite:///{given_path}") as target:
            assert target.explain(OWNER, (7000,)).root.rows == 10

        assert ids(report) == ["orders(owner)"]
        after = folder_of(file)
        assert after.keys() == before.keys()
        after.pop("shop.db-shm", None)  # where readers, too, note that they read
        assert after.items() <= before.items()


def test_a_copy_too_large_for_memory_goes_to_a_file_without_a_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("SQLITE_TMPDIR", str(scratch))
    monkeypatch.setattr(copying, "CACHE_BYTES", 64 * 1024)
    with open_sqlite(f"sqlite:///{file}") as target:
        assert target.explain(OWNER, (7,)).root.rows == 7
        assert list(scratch.iterdir()) == []

    full = shutil.disk_usage(scratch)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full)
    with pytest.raises(InputError, match=rf"a copy of \d MB needs \d MB in {scratch}, where 1 MB are free"):
        open_sqlite(f"sqlite:///{file}").__enter__()


def test_a_database_that_is_locked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConnectError, match=r"shop\.db: locked by another process for more than"):
            open_sqlite(f"sqlite:///{file}").__enter__()


def test_a_page_that_is_damaged_is_told_in_one_line(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[8 * 4096 : 40 * 4096] = b"\xff" * 32 * 4096
    file.write_bytes(content)
    with pytest.raises(ConnectError, match="damaged") as error:
        analyze(Workload((given(OWNER, 7),)), f"sqlite:///{file}")
    assert "\n" not in str(error.value)


def test_what_is_advised_was_recorded_by_the_applications_own_engine(file: Path, tmp_path: Path) -> None:
    engine = dbperf.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for number in range(5):
            connection.execute(text("SELECT * FROM orders WHERE owner = :owner"), {"owner": number}).all()
        connection.execute(text("UPDATE orders SET state = :state WHERE at = :at"), {"state": "x", "at": "y"})
        connection.execute(text("SELECT * FROM customers LIMIT :n"), {"n": 3}).all()
    workload = dbperf.perf(engine).workload()
    engine.dispose()

    report = analyze(workload, f"sqlite:///{file}")

    indexes = [each for each in report.recommendations if each.code == "DBP101"]
    assert sorted(ids(replace(report, recommendations=tuple(indexes)))) == ["orders(at)", "orders(owner)"]
    assert {each.verification.level for each in indexes} == {"what-if"}
    assert {each.verification.cost_after for each in indexes} == {1_000}
    assert {each.cost_unit for rec in indexes for each in rec.evidence} == {"VM steps"}
    (loop,) = set(report.recommendations) - set(indexes)
    assert (loop.code, loop.verification.level) == ("DBP401", "estimated")
    assert {each.parameters for rec in indexes for each in rec.evidence} == {"statistics"}
    assert all("?" in each.statement.sql for each in report.statements)


def test_an_asynchronous_engine_and_its_parameters(file: Path) -> None:
    async def traffic() -> Workload:
        settings = dbperf.Settings(capture_parameters=True)
        engine = dbperf.create_async_engine(f"sqlite+aiosqlite:///{file}", dbperf=settings)
        async with engine.connect() as connection:
            for number in range(3):
                await connection.execute(text(OWNER.replace("$1", ":owner")), {"owner": number})
        workload = dbperf.perf(engine).workload()
        await engine.dispose()
        return workload

    report = analyze(
        asyncio.run(traffic()), f"sqlite+aiosqlite:///{file}", environment="staging", verify=True
    )

    (advised,) = report.recommendations
    assert advised.verification.level == "measured"
    assert advised.evidence[0].parameters == "captured"
    assert advised.ddl == ("CREATE INDEX ix_orders_owner ON orders (owner);",)
    assert advised.fix.startswith('Index("ix_orders_owner", "owner")')


def test_run_time_figures_of_this_file_and_all_operations_are_told(file: Path, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere.db")
    mine, other = (Statement(OWNER, name, "sqlite", name) for name in (str(file), elsewhere))
    pools = [Figure.of("pool", "QueuePool", name, {"checkouts": 1}) for name in (str(file), elsewhere)]
    operation = Figure.of("operation", "GET /", "", {"calls": 2})
    replica = Statement(OWNER, "replica", "sqlite", f"/replica{file}")
    of_replica = replace(pools[0], database=replica.database)
    unseen = Unseen(unlocated_calls=3)
    workload = Workload((mine, other, replica), unseen, figures=(*pools, of_replica, operation))

    report = analyze(workload, f"sqlite:///{file}")

    both = Figure.of("pool", "QueuePool", str(file), {"checkouts": 2})
    assert report.figures == (operation, both), "a replica is the same database"
    assert report.coverage.unseen == unseen
    only = analyze(Workload((mine,), figures=(*pools, operation)), f"sqlite:///{file}")
    assert only.figures == (operation, pools[0])


def test_the_slowest_is_that_which_the_application_waited_for_most(file: Path) -> None:
    counted = Statement("SELECT count(*) FROM small", "f1", "sqlite", str(file), 1, execute_seconds=0.2)
    fetched = Statement(OWNER, "f2", "sqlite", str(file), 1, execute_seconds=0.001, fetch_seconds=2.0)

    report = analyze(Workload((counted, fetched)), f"sqlite:///{file}", top=1)

    assert [each.statement.fingerprint for each in report.statements] == ["f2", "f1"]
    assert report.statements[1].verdict.startswith("not judged: 1 statement took more time")
    after = replayed(report, Workload((replace(fetched, fetch_seconds=0.5),)))
    assert [each.after and each.after.seconds for each in after.statements] == [0.501, None]


def test_only_statements_of_this_file_are_judged(file: Path, tmp_path: Path) -> None:
    mine = Statement(OWNER, "mine", "sqlite", str(file))
    other = Statement(OWNER, "other", "sqlite", str(tmp_path / "elsewhere.db"))
    postgres = Statement(OWNER, "pg", "postgresql", "host/5432/shop")

    report = analyze(Workload((mine, other, postgres)), f"sqlite:///{file}")

    assert [each.statement.fingerprint for each in report.statements] == ["mine"]
    assert report.coverage.other_databases == 2
    with pytest.raises(InputError, match=r"none is named shop\.db"):
        analyze(Workload((other, Statement(OWNER, "x", "sqlite", ":memory:"))), f"sqlite:///{file}")


def test_a_delete_is_told_of_the_foreign_key_that_is_looked_for(file: Path) -> None:
    execute(
        file,
        "INSERT INTO customers SELECT id, 'c' || id, pad FROM orders;"
        "CREATE TABLE visits (customer INT REFERENCES customers, pad);"
        "INSERT INTO visits SELECT owner, pad FROM orders;",
    )
    report = analyze(Workload((given("DELETE FROM customers WHERE id = $1", 7),)), f"sqlite:///{file}")
    (judged,) = report.statements
    assert judged.verdict == (
        "its own plan is fine, but each row it deletes is looked for in orders (owner), visits (customer), "
        "a foreign key without an index, where foreign keys are enforced"
    )
