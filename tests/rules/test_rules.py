"""Every fixture of every rule: a schema with data, statements, and what must (and must not) be found.

A fixture is tests/rules/CODE/case.sql, or CODE/sqlite/case.sql, with three sections, each started by a
comment of one word:
`-- schema`, `-- statements` and `-- expect`. An expectation is the id of a recommendation without its code
(`statement 2` where that is the fingerprint of the second statement), or `verdict: words` that a statement's
verdict must contain. What is not expected must not be found by the rule of the folder.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from dbperf.analysis import analyze
from dbperf.embedded import Server
from dbperf.model.report import Report
from dbperf.model.workload import Workload
from dbperf.workload.sources.sql_files import read_sql

FIXTURES = sorted(Path(__file__).parent.glob("DBP*/*.sql"))
SQLITE_FIXTURES = sorted(Path(__file__).parent.glob("DBP*/sqlite/*.sql"))


def sections(path: Path) -> dict[str, str]:
    parts = re.split(r"^-- (schema|statements|expect)$", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_rule(path: Path, server: Server, database: str, tmp_path: Path) -> None:
    parts = sections(path)
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(parts["schema"])  # type: ignore[arg-type]
        connection.execute("VACUUM ANALYZE")
    (tmp_path / "statements.sql").write_text(parts["statements"])

    workload = read_sql(tmp_path / "statements.sql")
    builds = path.parent.name.startswith("DBP1")
    report = analyze(workload, server.dsn(database), environment="disposable" if builds else "production")

    check(report, path.parent.name, parts["expect"], workload)


@pytest.mark.parametrize("path", SQLITE_FIXTURES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_rule_in_sqlite(path: Path, tmp_path: Path) -> None:
    parts = sections(path)
    with closing(sqlite3.connect(tmp_path / "fixture.db")) as connection:
        connection.executescript(f"BEGIN; {parts['schema']} COMMIT;")
    (tmp_path / "statements.sql").write_text(parts["statements"])

    workload = read_sql(tmp_path / "statements.sql", "sqlite")
    report = analyze(workload, f"sqlite:///{tmp_path}/fixture.db")

    check(report, path.parent.parent.name, parts["expect"], workload)


def check(report: Report, code: str, expect: str, workload: Workload) -> None:
    lines = [line.strip() for line in expect.splitlines() if line.strip()]
    ids = {f"statement {n}": each.fingerprint for n, each in enumerate(workload.statements, 1)}
    expected = {f"{code}:{ids.get(line, line)}" for line in lines if not line.startswith("verdict: ")}
    assert {each.id for each in report.recommendations if each.code == code} == expected
    verdicts = [each.verdict for each in report.statements]
    for line in lines:
        if line.startswith("verdict: "):
            assert any(line.removeprefix("verdict: ") in each for each in verdicts), verdicts
