"""Every fixture of every rule: a schema with data, statements, and what must (and must not) be found.

A fixture is tests/rules/CODE/case.sql with three sections, each started by a comment of one word:
`-- schema`, `-- statements` and `-- expect`. An expectation is the id of a recommendation without its code,
or `verdict: words` that a statement's verdict must contain. What is not expected must not be found.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from dbperf.analysis import analyze
from dbperf.embedded import Server
from dbperf.workload.sources.sql_files import read_sql

FIXTURES = sorted(Path(__file__).parent.glob("DBP*/*.sql"))


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
    report = analyze(workload, server.dsn(database), environment="disposable")

    lines = [line.strip() for line in parts["expect"].splitlines() if line.strip()]
    expected = {f"{path.parent.name}:{line}" for line in lines if not line.startswith("verdict: ")}
    assert {each.id for each in report.recommendations} == expected
    verdicts = [each.verdict for each in report.statements]
    for line in lines:
        if line.startswith("verdict: "):
            assert any(line.removeprefix("verdict: ") in each for each in verdicts), verdicts
