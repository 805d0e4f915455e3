"""Two runs, outcome by outcome, and the differences that are expected."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from .runs import Run

Differences = dict[str, tuple[str, str]]  # by test: how it ended without dbperf, and with it

_EXPECTED = Path(__file__).parent / "expected.toml"
_VERSION = re.compile(r"(?:_\d+)+(?=::)")  # of the database, at the end of a class that runs on several


def differences(without: Run, instrumented: Run) -> Differences:
    """Tests that ended differently, or in one run only."""
    tests = sorted({*without.ended, *instrumented.ended})
    both = {test: (without.ended.get(test, "-"), instrumented.ended.get(test, "-")) for test in tests}
    return {test: (before, after) for test, (before, after) in both.items() if before != after}


def known(test: str) -> str:
    """A test's id, whatever the version of the database."""
    return _VERSION.sub("", test)


def expected(suite: str) -> dict[str, str]:
    """The tests of a suite that must end differently, and why."""
    reasons: dict[str, dict[str, str]] = tomllib.loads(_EXPECTED.read_text("utf-8"))
    return reasons.get(suite, {})


def files(tests: Iterable[str]) -> list[str]:
    """Their files: pytest does not find a single test of SQLAlchemy's by its id, as classes are made late."""
    return sorted({test.partition("::")[0] for test in tests})


def table(without: Run, instrumented: Run) -> Iterator[str]:
    """How many tests ended how."""
    before, after = (Counter(_kind(each) for each in run.ended.values()) for run in (without, instrumented))
    yield f"{'':16}{'without':>10}{'with dbperf':>14}"
    for kind in sorted({*before, *after}, key=lambda kind: -before[kind]):
        yield f"{kind:16}{before[kind]:10,}{after[kind]:14,}"


def _kind(ended: str) -> str:
    return "failed" if "failed in" in ended else ended.partition(":")[0]
