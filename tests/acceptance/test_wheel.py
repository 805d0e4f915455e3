"""What a user of the wheel gets: built here, unpacked, and run away from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dbperf.workload.store.tables import HEAD

ROOT = Path(__file__).parents[2]


def files(folder: Path) -> set[str]:
    """The sources below a folder, without what running them left there."""
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as an installer lays it out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(unpacked: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python with the unpacked wheel before everything that is installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=unpacked.parent,
        env=os.environ | {"PYTHONPATH": str(unpacked)} | environment,
        check=False,
        capture_output=True,
        text=True,
    )


def run(unpacked: Path, *arguments: str) -> str:
    """What it prints."""
    done = python(unpacked, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_wheel_has_the_package_the_shop_and_the_migrations_and_nothing_else(unpacked: Path) -> None:
    expected = {f"dbperf/{each}" for each in files(ROOT / "dbperf")}
    expected |= {f"dbperf/_shop/shop/{each}" for each in files(ROOT / "examples" / "shop")}
    expected |= {f"dbperf/_migrations/{each}" for each in files(ROOT / "migrations")}
    installed = {each for each in files(unpacked) if ".dist-info/" not in each}
    assert installed == expected
    assert {"dbperf/py.typed", "dbperf/report/report.schema.json"} <= installed
    assert any(each.endswith("licenses/LICENSE") for each in files(unpacked))


def test_the_wheel_runs(unpacked: Path) -> None:
    import dbperf

    assert run(unpacked, "-m", "dbperf", "--version") == f"dbperf, version {dbperf.__version__}\n"
    assert "demo" in run(unpacked, "-m", "dbperf", "--help")


def test_the_demo_of_the_wheel_runs_the_shop_of_the_wheel(unpacked: Path) -> None:
    shop = run(unpacked, "-c", "from dbperf.cli.demo import _shop; print(_shop().__path__[0])")
    assert Path(shop.strip()) == unpacked / "dbperf" / "_shop" / "shop"


def test_the_store_of_the_wheel_is_made_by_the_migrations_of_the_wheel(unpacked: Path) -> None:
    program = """
from dbperf.workload.store.upgrade import migrations, upgrade
print(migrations())
print(upgrade("wheel.sqlite", "0001"), upgrade("wheel.sqlite"))
"""
    folder, revisions = run(unpacked, "-c", program).splitlines()
    assert Path(folder) == unpacked / "dbperf" / "_migrations"
    assert revisions == f"('', '0001') ('0001', '{HEAD}')"


def test_a_machine_without_libpq_is_told_what_to_install(unpacked: Path) -> None:
    command = ("-m", "dbperf", "analyze", "--db", "dbname=app", "--sql", "queries.sql")
    done = python(unpacked, *command, PSYCOPG_IMPL="none")
    told = "dbperf: psycopg finds no libpq on this machine: pip install 'psycopg[binary]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
    done = python(unpacked, "-m", "dbperf", "store", "info", "postgresql://db/app", PSYCOPG_IMPL="none")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        told.replace("psycopg", "db/5432/app: psycopg", 1),
    )
