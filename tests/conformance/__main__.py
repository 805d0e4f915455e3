"""The test suites of SQLAlchemy and Alembic with every engine instrumented, outcome by outcome, and those
about pools with dbperf's in the place of SQLAlchemy's.

    uv run python -m tests.conformance                        # what CI runs: two minutes
    uv run python -m tests.conformance --whole                # every test: half an hour
    uv run python -m tests.conformance sqlalchemy test/engine/test_pool.py -k reset
    uv run python -m tests.conformance pool                   # dbperf's pools
    uv run python -m tests.conformance --whole --postgresql /usr/lib/postgresql/15

Each suite runs with dbperf and without. Every test must end alike: passed, skipped, or failed with the same
type of exception; and dbperf must not warn that it failed. Tests of which that is not true are named in
`expected.toml`, with the reason, and it must not be true of them. Files with other differences run once more,
both ways, since some tests are about time. The source of a suite is downloaded once; trees, logs and outcomes
of the last run stay in the cache folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from .compare import Differences, differences, expected, files, known, table
from .runs import pair
from .suites import SUITES, Suite, fetch

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "dbperf-conformance"


def main() -> int:
    options = _options()
    options.cache.mkdir(parents=True, exist_ok=True)
    suites = [SUITES[options.suite]] if options.suite else list(SUITES.values())
    conform = [conforms(suite, options) for suite in suites]  # all of them, whatever comes of the first
    return 0 if all(conform) else 1


def _options() -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser("python -m tests.conformance", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("suite", nargs="?", choices=SUITES, help="all by default")
    parser.add_argument("tests", nargs="*", metavar="test", help="files or folders, instead of those of CI")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="as pytest's")
    parser.add_argument("--whole", action="store_true", help="every test, not only those chosen for CI")
    parser.add_argument("--postgresql", type=Path, metavar="FOLDER", help="that with its bin; else SQLite")
    parser.add_argument("--cache", type=Path, default=_CACHE, metavar="FOLDER", help=f"default: {_CACHE}")
    return parser.parse_args()


def conforms(suite: Suite, options: argparse.Namespace) -> bool:
    """Run a suite both ways and print what came of it. True: nothing differs but what is expected."""
    archive, place = fetch(suite, options.cache), options.cache / suite.name
    tests = options.tests or ([] if options.whole and not suite.only_chosen else suite.chosen)
    print(f"{suite.name}: {suite.release}, logs in {place}", flush=True)
    began = time.monotonic()
    without, instrumented = pair(suite, archive, place, options.postgresql, ["-k", options.k, *tests])
    reasons, found = expected(suite.name), differences(without, instrumented)
    other = {test: found[test] for test in found if known(test) not in reasons}
    if other:
        print(f"{len(other)} differ: {', '.join(files(other))} once more", flush=True)
        again = differences(*pair(suite, archive, place / "again", options.postgresql, files(other)))
        other = {test: again[test] for test in other if test in again}
    alike = {known(test) for test in without.ended} & reasons.keys() - {known(test) for test in found}
    print(*table(without, instrumented), sep="\n")
    print(f"{len(without.ended):,} tests in {time.monotonic() - began:.0f} s")
    objects, uses = suite.counted
    print(f"{instrumented.objects:,} {objects}, {instrumented.uses:,} {uses}")
    _explain(found, other, reasons)
    if not instrumented.uses:
        print(f"no {uses}, so this proves nothing")
    for test in sorted(alike):
        print(f"ends alike, so expected.toml must not name it: {test}")
    return not other and not alike and instrumented.uses > 0


def _explain(found: Differences, other: Differences, reasons: dict[str, str]) -> None:
    for test, (before, after) in found.items():
        if known(test) in reasons:
            print(f"expected: {test}\n  {reasons[known(test)]}")
        elif test not in other:
            print(f"differed once: {test}\n  without dbperf: {before}\n  with dbperf:    {after}")
    for test, (before, after) in other.items():
        print(f"DIFFERENT: {test}\n  without dbperf: {before}\n  with dbperf:    {after}")
    print(f"{len(other)} unexpected differences")


if __name__ == "__main__":
    sys.exit(main())
