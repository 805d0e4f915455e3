"""Every way to an instrumented engine, on SQLite."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import create_async_engine as plain_async_engine
from sqlalchemy.pool import NullPool

import dbperf
from dbperf import Perf, Settings
from dbperf.errors import DbperfError, InputError
from dbperf.model.workload import Workload


def run(engine: sa.Engine | AsyncEngine) -> None:
    """One statement."""

    async def on_async(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            await connection.execute(sa.text("select 1"))
        await engine.dispose()

    if isinstance(engine, AsyncEngine):
        asyncio.run(on_async(engine))
    else:
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))
        engine.dispose()


def instrumented(engine: sa.Engine) -> sa.Engine:
    dbperf.instrument(engine)
    return engine


def async_instrumented(engine: AsyncEngine) -> AsyncEngine:
    dbperf.instrument(engine)
    return engine


FORMS = {
    "create_engine": lambda: dbperf.create_engine("sqlite://"),
    "create_engine of a URL": lambda: dbperf.create_engine(sa.make_url("sqlite://")),
    "instrument": lambda: instrumented(sa.create_engine("sqlite://")),
    "?plugin=": lambda: sa.create_engine("sqlite://?plugin=dbperf"),
    "plugins=": lambda: sa.create_engine("sqlite://", plugins=["dbperf"]),
    "?plugin= twice": lambda: sa.create_engine("sqlite://?plugin=dbperf&plugin=dbperf", plugins=["dbperf"]),
    "create_engine and ?plugin=": lambda: dbperf.create_engine("sqlite://?plugin=dbperf"),
    "create_engine and plugins=": lambda: dbperf.create_engine("sqlite://", plugins=["dbperf"]),
    "async create_engine": lambda: dbperf.create_async_engine("sqlite+aiosqlite://"),
    "async instrument": lambda: async_instrumented(plain_async_engine("sqlite+aiosqlite://")),
    "async ?plugin=": lambda: plain_async_engine("sqlite+aiosqlite://?plugin=dbperf"),
    "async plugins=": lambda: plain_async_engine("sqlite+aiosqlite://", plugins=["dbperf"]),
    "async create_engine and ?plugin=": lambda: dbperf.create_async_engine(
        "sqlite+aiosqlite://?plugin=dbperf"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_statement_is_counted_once(form: str) -> None:
    engine = FORMS[form]()
    run(engine)
    (statement,) = dbperf.perf(engine).workload().statements
    assert (statement.calls, statement.dialect, statement.database) == (1, "sqlite", ":memory:")
    assert statement.call_sites[0].file == __file__


@pytest.mark.parametrize(
    "create",
    [
        lambda settings: dbperf.create_engine("sqlite://", dbperf=settings),
        lambda settings: dbperf.create_engine("sqlite://?plugin=dbperf", dbperf=settings),
        lambda settings: dbperf.create_engine("sqlite://", plugins=["dbperf"], dbperf=settings),
        lambda settings: sa.create_engine("sqlite://", plugins=["dbperf"], dbperf=settings),
        lambda settings: dbperf.create_async_engine("sqlite+aiosqlite://", dbperf=settings),
        lambda settings: plain_async_engine("sqlite+aiosqlite://?plugin=dbperf", dbperf=settings),
    ],
)
def test_settings_reach_the_handle(create: Any) -> None:
    engine = create(Settings(capture_parameters=True))
    assert dbperf.perf(engine).settings.capture_parameters
    engine = create(Settings(enabled=False))
    run(engine)
    assert dbperf.perf(engine).workload() == Workload()


def test_settings_in_the_url() -> None:
    url = "sqlite://?plugin=dbperf&dbperf_capture_parameters=1&dbperf_max_statements=9"
    engine = sa.create_engine(url, dbperf=Settings(max_statements=5))
    settings = dbperf.perf(engine).settings
    assert (settings.capture_parameters, settings.max_statements) == (True, 5)
    assert str(engine.url) == "sqlite://"
    run(engine)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("dbperf_enable=1", "URL: dbperf has no setting 'enable'; known: app_prefixes, "),
        ("dbperf_enabled=maybe", "URL: enabled takes 1 or 0, not 'maybe'"),
    ],
)
def test_an_unusable_setting_in_the_url(query: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        sa.create_engine(f"sqlite://?plugin=dbperf&{query}")
    assert str(caught.value).startswith(says)


def test_something_else_for_settings() -> None:
    with pytest.raises(InputError, match=r"^dbperf= takes dbperf\.Settings, not dict$"):
        dbperf.create_engine("sqlite://", dbperf={"enabled": True})  # type: ignore[arg-type]


def test_every_keyword_of_sqlalchemy_passes_through() -> None:
    engine = dbperf.create_engine(
        "sqlite://",
        poolclass=NullPool,
        echo=False,
        execution_options={"a": 1},
        connect_args={"timeout": 2},
        isolation_level="SERIALIZABLE",
    )
    assert isinstance(engine.pool, NullPool)
    assert engine.get_execution_options() == {"a": 1}
    with pytest.raises(TypeError, match="no_such_keyword"):
        dbperf.create_engine("sqlite://", no_such_keyword=1)


def test_an_engine_unlike_any_other_works_without_dbperf(caplog: pytest.LogCaptureFixture) -> None:
    engine = sa.create_engine("sqlite://")
    del engine.dialect.paramstyle
    handle = dbperf.instrument(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    assert handle.workload().statements == ()
    assert caplog.messages == ["an engine cannot be measured (AttributeError)"]


def test_instrument_is_idempotent() -> None:
    engine = sa.create_engine("sqlite://")
    handle = dbperf.instrument(engine, Settings(capture_parameters=True))
    assert dbperf.instrument(engine) is handle is dbperf.perf(engine)
    assert handle.settings.capture_parameters
    run(engine)
    assert handle.workload().statements[0].calls == 1


def test_instrument_from_many_threads_at_once() -> None:
    engine = sa.create_engine("sqlite://")
    barrier = threading.Barrier(8)
    handles: list[Perf] = []

    def work() -> None:
        barrier.wait()
        handles.append(dbperf.instrument(engine))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, handles))) == 1
    run(engine)
    assert handles[0].workload().statements[0].calls == 1


def test_engines_that_share_the_dialect_share_the_handle() -> None:
    engine = dbperf.create_async_engine("sqlite+aiosqlite://")
    other = engine.execution_options(isolation_level="SERIALIZABLE")
    handles = [dbperf.perf(each) for each in (engine, other, engine.sync_engine, other.sync_engine)]
    assert len(set(map(id, handles))) == 1


def test_an_engine_that_is_not_instrumented() -> None:
    with pytest.raises(DbperfError) as caught:
        dbperf.perf(sa.create_engine("postgresql+psycopg://app:secret@db/shop"))
    says = "the engine of db/5432/shop is not instrumented: call dbperf.instrument(engine) first"
    assert str(caught.value) == says


def test_something_that_is_no_engine() -> None:
    with pytest.raises(InputError, match=r"^a str is not an SQLAlchemy engine$"):
        dbperf.instrument("sqlite://")  # type: ignore[arg-type]


def test_disabled_leaves_a_plain_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = vars(sa.create_engine("sqlite://").dialect)
    monkeypatch.setenv("DBPERF_ENABLED", "0")
    engine = dbperf.create_engine("sqlite://")
    assert vars(engine.dialect).keys() - plain.keys() == {"_dbperf"}
    run(engine)
    handle = dbperf.perf(engine)
    assert handle.workload() == Workload()
    handle.close()
    assert "_dbperf" not in vars(engine.dialect)


def test_disabled_leaves_an_earlier_workload_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    engine = dbperf.create_engine("sqlite://")
    run(engine)
    dbperf.perf(engine).save(path)
    kept = path.read_bytes()
    dbperf.perf(dbperf.create_engine("sqlite://", dbperf=Settings(enabled=False))).save(path)
    assert path.read_bytes() == kept


def test_close_takes_everything_off_and_keeps_what_was_seen() -> None:
    engine = sa.create_engine("sqlite://")
    run(engine)
    before = dict(vars(engine.dialect))
    handle = dbperf.instrument(engine)
    run(engine)
    handle.close()
    handle.close()
    assert vars(engine.dialect) == before
    run(engine)
    assert handle.workload().statements[0].calls == 1
    with pytest.raises(DbperfError):
        dbperf.perf(engine)
    again = dbperf.instrument(engine)
    handle.close()
    assert dbperf.perf(engine) is again is not handle


def test_save(tmp_path: Path) -> None:
    from dbperf.workload.file import load

    engine = dbperf.create_engine("sqlite://")
    run(engine)
    handle = dbperf.perf(engine)
    handle.save(tmp_path / "workload.sqlite")
    assert load(tmp_path / "workload.sqlite") == handle.workload()


@pytest.mark.parametrize(
    "program",
    [
        "import dbperf; dbperf.create_engine('sqlite://')",
        "import sqlalchemy; sqlalchemy.create_engine('sqlite://?plugin=dbperf')",
        "import dbperf.capture, dbperf.plugin",
    ],
)
def test_an_application_does_not_pay_for_the_analysis(program: str) -> None:
    dear = ["sqlglot", "alembic", "rich", "click", "psycopg", "dbperf.workload", "dbperf.statements"]
    check = f"{program}; import sys; print([each for each in {dear} if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, env={**os.environ})
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
