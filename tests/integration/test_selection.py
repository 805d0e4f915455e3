"""Findings that a program or its settings ask to leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import dbperf
from dbperf.errors import InputError
from dbperf.model.report import Report
from dbperf.model.workload import Workload

quotes = sa.table("quotes", sa.column("id", sa.Integer))
RANDOM = sa.select(quotes.c.id).order_by(sa.func.random()).limit(3)


def run(url: str, **options: Any) -> Workload:
    plain = sa.create_engine(url)
    with plain.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE quotes AS SELECT g AS id, 'x' AS body FROM generate_series(1, 99999) g")
        )
        connection.execute(sa.text("ANALYZE quotes"))
    plain.dispose()
    engine = dbperf.create_engine(url)
    with engine.connect() as connection:
        connection.execute(RANDOM.execution_options(**options)).all()
    engine.dispose()
    return dbperf.perf(engine).workload()


def codes(report: Report) -> list[str]:
    return [each.code for each in report.recommendations]


@pytest.fixture
def target(server: Any, database: str) -> str:
    return str(server.dsn(database))


def test_what_a_statement_asks_for_itself(psycopg_url: str, target: str) -> None:
    report = dbperf.analyze(run(psycopg_url, dbperf_ignore="DBP310"), target)
    assert codes(report) == []
    assert report.coverage.notes == ("1 finding left out, as --select, --ignore or the code ask",)


def test_what_settings_ask_for(
    psycopg_url: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = run(psycopg_url)
    monkeypatch.chdir(tmp_path)
    assert codes(dbperf.analyze(workload, target)) == ["DBP310"]
    configuration = tmp_path / "pyproject.toml"
    for entry, told in (
        ("DBP310@integration/test_selection.py:run", []),
        ("order-by-random@test_selection.py", []),
        ("DBP310@test_selection.py:codes", ["DBP310"]),
        ("DBP4", ["DBP310"]),
    ):
        configuration.write_text(f'[tool.dbperf]\nignore = ["{entry}"]\n')
        assert codes(dbperf.analyze(workload, target)) == told
        assert codes(dbperf.analyze(workload, target, ignore=())) == ["DBP310"]
    assert codes(dbperf.analyze(workload, target, select=["DBP1"])) == []


def test_an_unknown_rule_in_the_settings_is_one_line(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBPERF_IGNORE", "DBP318, DBP999")
    with pytest.raises(InputError, match="no rule 'DBP"):
        dbperf.analyze(Workload(()), target)
