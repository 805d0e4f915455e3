"""The schema and the scripts of pgbench, without its primary keys, on every server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbperf.embedded import Server

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine

BANK = Path(__file__).with_name("bank.py")
DROP_KEYS = "; ".join(
    f"ALTER TABLE pgbench_{name} DROP CONSTRAINT pgbench_{name}_pkey"
    for name in ("accounts", "tellers", "branches")
)
WANTED = "DBP101:public.pgbench_accounts(aid)"


def pgbench(server: Server, *arguments: str) -> str:
    where = ("-h", server.host, "-p", str(server.port), "-U", server.user)
    done = subprocess.run(
        [server.bin / "pgbench", *where, *arguments], text=True, capture_output=True, check=True
    )
    return done.stderr


@pytest.fixture(scope="module")
def bench(any_server: Server) -> str:
    """The address of a database that pgbench has filled and used, robbed of its primary keys."""
    pgbench(any_server, "-i", "-s", "5", "--quiet", "postgres")
    pgbench(any_server, "-t", "200", "postgres")  # while it has the keys: without them it takes 16 s
    with psycopg.connect(any_server.dsn(), autocommit=True) as connection:
        connection.execute(DROP_KEYS)
    return any_server.dsn()


@pytest.fixture(scope="module")
def scripts(any_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pgbench's own scripts, as it shows them."""
    folder = tmp_path_factory.mktemp("scripts")
    for name in ("tpcb-like", "select-only"):
        (folder / f"{name}.sql").write_text(pgbench(any_server, f"--show-script={name}"))
    return folder


@pytest.fixture(scope="module")
def workload(bench: str, any_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbperf saw of a program that does what pgbench does."""
    file = tmp_path_factory.mktemp("workload") / "bank.dbperf"
    where = (any_server.host, str(any_server.port), "postgres")
    subprocess.run([sys.executable, BANK, *where, file], check=True)
    return file


@pytest.fixture(params=["--sql", "--workload"])
def source(request: pytest.FixtureRequest, scripts: Path, workload: Path) -> tuple[str, Path]:
    return request.param, {"--sql": scripts, "--workload": workload}[request.param]


@pytest.fixture
def kept(bench: str) -> Iterator[None]:
    """Takes away the indexes that a test has made."""
    yield
    with psycopg.connect(bench, autocommit=True) as connection:
        connection.execute("DROP INDEX IF EXISTS ix_pgbench_accounts_aid")


def analyzed(dbperf: CommandLine, *arguments: object) -> dict[str, Any]:
    done = dbperf("analyze", *arguments, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def verdicts(report: dict[str, Any]) -> dict[str, list[str]]:
    """By what a statement does and to which table."""
    found: dict[str, list[str]] = {}
    for each in report["statements"]:
        table = each["tables"][0].removeprefix("public.pgbench_") if each["tables"] else ""
        found.setdefault(f"{each['sql'].split()[0].lower()} {table}".strip(), []).append(each["verdict"])
    return found


def test_pgbench(
    dbperf: CommandLine, bench: str, any_server: Server, source: tuple[str, Path], kept: None
) -> None:
    report = analyzed(dbperf, "--db", bench, *source, "--environment", "disposable", "--verify")

    (advice,) = report["recommendations"]
    assert advice["id"] == WANTED
    assert advice["verification"]["level"] == "measured"
    assert advice["verification"]["server_version"] == any_server.server_version
    assert advice["verification"]["seconds_after"] < advice["verification"]["seconds_before"]
    served = {each["sql"].split()[0].upper(): each for each in advice["evidence"]}
    assert set(served) == {"UPDATE", "SELECT"}
    assert served["UPDATE"]["not_timed"].startswith("it writes")
    assert served["SELECT"]["plan_before"] == "Seq Scan on pgbench_accounts"

    said = verdicts(report)
    for small in ("tellers", "branches"):
        (verdict,) = said[f"update {small}"]
        assert verdict.startswith("no index needed: reads only small tables")
    (verdict,) = said["insert history"]
    assert verdict == "nothing to advise: an INSERT looks up no rows"
    if source[0] == "--sql":
        assert said["begin"] == said["end"] == ["transaction control: nothing to plan"]
        assert len(advice["evidence"]) == 2  # the SELECT of both scripts is one
    else:
        # One statement of two drivers is one, and its parameters are those that were captured.
        assert {each["calls"] for each in report["statements"]} == {10}
        assert {each["parameters"] for each in advice["evidence"]} == {"captured"}
        assert {Path(each["file"]).name for each in advice["call_sites"]} == {"bank.py"}

    with psycopg.connect(bench, autocommit=True) as connection:
        for ddl in advice["ddl"]:
            connection.execute(ddl)
    again = analyzed(dbperf, "--db", bench, *source, "--environment", "disposable", "--verify")
    assert again["recommendations"] == []
    said = verdicts(again)
    # What was captured before the index came may have been slow enough to wonder why.
    fine = (
        ("fine: uses ix_pgbench_accounts_aid",)
        if source[0] == "--sql"
        else ("fine: ", "not explained by its plan")
    )
    for verdict in said["update accounts"] + said["select accounts"]:
        assert verdict.startswith(fine)


def test_pgbench_in_production(dbperf: CommandLine, bench: str, source: tuple[str, Path]) -> None:
    report = analyzed(dbperf, "--db", bench, *source)
    (advice,) = report["recommendations"]
    assert (advice["id"], advice["verification"]["level"]) == (WANTED, "unverified")
    assert {each["sql"].split()[0].upper() for each in advice["evidence"]} == {"UPDATE", "SELECT"}
