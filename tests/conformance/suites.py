"""The test suites of SQLAlchemy and Alembic, as published, at the versions that are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PIP_DOWNLOAD = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:")


@dataclass(frozen=True, slots=True)
class Suite:
    """A package's tests, but those marked as `left_out`. CI runs the `chosen`, or all where none are."""

    name: str
    package: str
    left_out: str
    asynchronous: bool = False
    """Whether an async driver is tested, too."""
    chosen: tuple[str, ...] = ()
    only_chosen: bool = False
    """Whether the others say nothing about what this suite is for."""
    switch: str = "--instrumented"
    """The option of the plugin's with which dbperf takes part."""
    counted: tuple[str, str] = ("engines instrumented", "statements seen")
    """What the plugin counts then; nothing of the second, and the run proves nothing."""

    @property
    def release(self) -> str:
        """The name and version of the installed package, as its archive calls them."""
        return f"{self.package}-{version(self.package)}"


# Left out are type checks, which run no engine, and tests of memory, as in SQLAlchemy's own runs.
SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "sqlalchemy",
            "sqlalchemy",
            left_out="mypy or memory_intensive",
            asynchronous=True,
            chosen=(
                "test/engine",
                "test/ext/asyncio",
                "test/sql/test_resultset.py",
                "test/sql/test_returning.py",
                "test/sql/test_insert_exec.py",
                "test/orm/test_lazy_relations.py",
                "test/orm/test_session.py",
                "test/orm/test_transaction.py",
            ),
        ),
        Suite(
            "pool",
            "sqlalchemy",
            left_out="mypy or memory_intensive",
            asynchronous=True,
            chosen=(
                "test/engine/test_pool.py",
                "test/engine/test_reconnect.py",
                "test/ext/asyncio/test_cancellation.py",
                "test/ext/asyncio/test_engine.py",
            ),
            only_chosen=True,
            switch="--pools",
            counted=("pools made", "checkouts"),
        ),
        Suite("alembic", "alembic", left_out="mypy"),
    )
}


def fetch(suite: Suite, cache: Path) -> Path:
    """The source archive, downloaded unless `cache` has it. Raises CalledProcessError: pip has said why."""
    archive = cache / f"{suite.release}.tar.gz"
    if not archive.exists():
        # pip asks a source for its metadata, which takes SQLAlchemy minutes, but seconds without extensions.
        subprocess.run(
            [*_PIP_DOWNLOAD, f"--dest={cache}", f"{suite.package}=={version(suite.package)}"],
            env={**os.environ, "DISABLE_SQLALCHEMY_CEXT": "1"},
            check=True,
        )
    return archive


def unpack(archive: Path, into: Path) -> Path:
    """A fresh copy of the suite's tree below `into`."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.unpack_archive(archive, into, filter="data")
    return into / archive.name.removesuffix(".tar.gz")
