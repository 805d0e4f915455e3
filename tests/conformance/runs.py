"""Both runs of a suite at once, each in a tree and a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dbperf.embedded import start

from .suites import Suite, unpack

_PLUGIN = Path(__file__).parent / "plugin"
_TESTS_RAN = (0, 1)  # pytest's exit codes: all passed, some failed


@dataclass(frozen=True, slots=True)
class Run:
    """How each test ended, by its id, and what dbperf was given to see: nothing in the run without it."""

    ended: dict[str, str]
    objects: int = 0
    uses: int = 0


def pair(
    suite: Suite, archive: Path, place: Path, postgresql: Path | None, tests: Sequence[str]
) -> tuple[Run, Run]:
    """The run without dbperf and the one with it. Raises SystemExit for a run that did not get to its end."""
    running = []
    with ExitStack() as stack:
        for mode in ("without", "with"):
            database = stack.enter_context(_database(suite, postgresql))
            tree = unpack(archive, place / mode)
            running.append(stack.enter_context(_pytest(suite, tree, mode, [*database, *tests])))
        codes = [process.wait() for process in running]
    for mode, code in zip(("without", "with"), codes, strict=True):
        if code not in _TESTS_RAN:
            raise SystemExit(f"the run {mode} dbperf ended with {code}: see {place / mode}.log")
    return _read(place / "without.jsonl"), _read(place / "with.jsonl")


@contextmanager
def _pytest(suite: Suite, tree: Path, mode: str, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    place = tree.parent.parent
    # Besides the suite's own options: one process, so that tests run in the same order both ways.
    options = ["-qq", "--maxfail=0", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "dbperf_conformance"]
    options += [f"--outcomes={place / mode}.jsonl", "-m", f"not ({suite.left_out})"]
    options += [suite.switch] if mode == "with" else []
    # With -P and PYTHONNOUSERSITE, what is installed is imported, not the copy of it in the tree.
    command = [sys.executable, "-P", "-m", "pytest", *options, *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DBPERF_")}
    environment |= {"PYTHONPATH": str(_PLUGIN), "PYTHONNOUSERSITE": "1", "REQUIRE_SQLALCHEMY_CEXT": "1"}
    with (
        (place / f"{mode}.log").open("w") as log,
        subprocess.Popen(command, cwd=tree, env=environment, stdout=log, stderr=log, text=True) as process,
    ):
        yield process


@contextmanager
def _database(suite: Suite, postgresql: Path | None) -> Iterator[list[str]]:
    """The options that name the database; a PostgreSQL lives as long as the context."""
    if postgresql is None:
        yield ["--db=sqlite", *(["--dbdriver=aiosqlite"] if suite.asynchronous else [])]
        return
    with start(install=postgresql, settings={"max_prepared_transactions": "10"}) as server:
        for made in ("SCHEMA test_schema", "SCHEMA test_schema_2", "EXTENSION hstore", "EXTENSION citext"):
            subprocess.run([server.bin / "psql", server.dsn(), "-qc", f"CREATE {made}"], check=True)
        yield [f"--dburi={server.url()}", *(["--dbdriver=asyncpg"] if suite.asynchronous else [])]


def _read(file: Path) -> Run:
    phases: dict[str, list[str]] = defaultdict(list)
    seen = [0, 0]
    finished = False
    for line in file.read_text("utf-8").splitlines():
        match json.loads(line):
            case ["instrumented", *seen]:
                pass
            case ["finished"]:
                finished = True
            case [test, phase, outcome, raised]:
                phases[test] += _words(phase, outcome, raised)
    if not finished:
        raise SystemExit(f"a run was stopped before its end: {file} does not say that it finished")
    return Run({test: ", ".join(words) or "passed" for test, words in phases.items()}, *seen)


def _words(phase: str, outcome: str, raised: str) -> list[str]:
    match outcome:
        case "passed":
            return []
        case "failed":
            return [f"failed in {phase}: {raised}"]
        case "warning":
            return [f"dbperf warned: {raised}"]
    return [outcome]
