"""How dbperf.statements does on a corpus: `uv run python tests/bench/statements.py CORPUS.jsonl.gz`.

The corpus has a JSON object a line with `sql` and, if known, `valid` (whether the server's grammar takes it).
Each statement is read at three depths of the Python stack, along with some that are made to take long, and
then statements of the ORM.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from time import perf_counter, process_time
from typing import TypeVar

from orm_statements import statements as orm_statements

from dbperf.analysis import analyze
from dbperf.embedded import start
from dbperf.model.facts import StatementFacts
from dbperf.model.workload import Statement, Workload
from dbperf.statements import Template, analyze_statement, canonical, confined, template

T = TypeVar("T")

DEPTHS = (0, 150, 600)
COLD = 1_000
HOSTILE = [
    *("SELECT " + "ARRAY[" * n + "1" + "]" * n for n in (4, 8, 12, 30)),
    *("SELECT a::" + "int(" * n + "1" + ")" * n for n in (4, 8, 12, 30)),
    *("SELECT " + "date(" * n + "1" + ")" * n for n in (4, 8, 12, 30)),
    *("SELECT * FROM a " + "JOIN b " * n for n in (4, 8, 12, 30, 60)),
    *("SELECT " + "CASE WHEN a THEN " * n + "1" + " END" * n for n in (10, 29, 60)),
    *("SELECT " + "(" * n + "a" + ")" * n for n in (10, 30, 5_000)),
    *(
        "SELECT a FROM t WHERE " + f" {word} ".join(["a = 1"] * n)
        for word in ("OR", "AND")
        for n in (90, 900)
    ),
    *(" UNION ALL ".join(["SELECT a FROM t"] * n) for n in (50, 500)),
    *(f"SELECT a FROM t WHERE a IN ({', '.join(['$1'] * n)})" for n in (300, 1_000, 10_000)),
    *("SELECT " + " + ".join(["a"] * n) for n in (100, 1_000, 10_000)),
    *("SELECT " + ".".join(["a"] * n) for n in (100, 1_000, 10_000)),
    *("SELECT " + "NOT " * n + "a" for n in (100, 1_000, 10_000)),
    f"INSERT INTO t (a, b) VALUES {', '.join(['(1, 2)'] * 7_000)}",
]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", help="JSON lines, gzipped")
    options.add_argument("--reasons", action="store_true", help="count why valid statements were not parsed")
    given = options.parse_args()
    with gzip.open(given.corpus, "rt", encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    corpus = [entry["sql"] for entry in entries]
    valid = [entry.get("valid", True) for entry in entries]
    gc.freeze()

    failed = 0
    seen: list[list[StatementFacts | None]] = []
    for depth in DEPTHS:
        facts, slowest, exceptions = _at_depth(depth, lambda: _read([*corpus, *HOSTILE]))
        failed += exceptions
        print(f"at depth {depth:<6}exceptions {exceptions}, at most {slowest[0] * 1e3:.0f} ms: {slowest[1]}")
        seen.append(facts)
    same = all(facts == seen[0] for facts in seen[1:])
    for sql, *facts in zip([*corpus, *HOSTILE], *seen, strict=True):
        if any(each != facts[0] for each in facts):
            print("    differs:", sql[:60], [each and each.reason for each in facts])
    print(f"facts          {'the same' if same else 'DIFFERENT'} at each depth")
    found = [each for each in seen[0] if each is not None][: len(corpus)]
    of_valid = [each for each, ok in zip(found, valid, strict=False) if ok]
    print(f"statements     {len(corpus)}, {sum(each.parsed for each in found) / len(found):.1%} parsed")
    print(
        f"valid          {len(of_valid)}, {sum(each.parsed for each in of_valid) / len(of_valid):.1%} parsed"
    )
    _show("refused", _refused(found))
    _show("hostile", _refused(each for each in seen[0][len(corpus) :] if each))
    _cold(corpus)
    _orm()
    if given.reasons:
        reasons = Counter(each.reason.partition(" at line")[0] for each in of_valid if not each.parsed)
        _show("reasons", reasons)
    return 1 if failed or not same else 0


def _at_depth(frames: int, function: Callable[[], T]) -> T:
    return _at_depth(frames - 1, function) if frames else function()


def _read(statements: list[str]) -> tuple[list[StatementFacts | None], tuple[float, str], int]:
    """The facts, the slowest, the exceptions. The worker's time is not counted: the kernel does."""
    slowest = (0.0, "")
    found: list[StatementFacts | None] = []
    for sql in statements:
        try:
            facts, took = _timed(sql)
            if took > 0.02:  # once more: a collection of garbage is not the statement's
                took = min(took, _timed(sql)[1])
        except Exception as error:  # noqa: BLE001 - counting them is the point
            print(f"EXCEPTION {error!r} in {sql[:200]}")
            found.append(None)
            continue
        slowest = max(slowest, (took, " ".join(sql.split())[:60]))
        found.append(facts)
    return found, slowest, found.count(None)


def _timed(sql: str) -> tuple[StatementFacts, float]:
    started = process_time()
    facts = analyze_statement(sql)
    return facts, process_time() - started


def _refused(found: Iterable[StatementFacts]) -> Counter[str]:
    """Why text was not given to the parser, or taken from it."""
    spoken = ("nested", "longer", "takes more", "too heavy")
    return Counter(each.reason for each in found if each.reason.startswith(spoken))


def _show(name: str, counted: Counter[str]) -> None:
    print(f"{name:15}{sum(counted.values())}")
    for reason, count in counted.most_common(30):
        print(f"{count:14} {reason}")


def _cold(corpus: list[str]) -> None:
    distinct = {template(sql, "postgresql").fingerprint: sql for sql in corpus}
    print(f"templates      {len(distinct)}")
    chosen = list(distinct.values())[:: max(1, len(distinct) // COLD)][:COLD]
    started = perf_counter()
    for sql in chosen:
        analyze_statement(template(sql, "postgresql").sql)
    print(f"cold           {perf_counter() - started:.2f} s for {len(chosen)} templates, made and analysed")
    _remembered([template(sql, "postgresql") for sql in chosen])


def _remembered(templates: list[Template]) -> None:
    """`dbperf.analyze` with a store, twice: the second time the facts are there. Most tables are not."""
    statements = [Statement(each.sql, each.fingerprint, "postgresql", "postgres", 1) for each in templates]
    with start() as server, tempfile.TemporaryDirectory() as folder:
        for which in ("first", "again"):
            started = perf_counter()
            analyze(Workload(tuple(statements)), server.dsn(), top=None, store=f"{folder}/store.sqlite")
            print(f"analyze, {which} {perf_counter() - started:.2f} s for these, on an empty database")


def _orm() -> None:
    sent = orm_statements()
    before = list(confined._kept)
    found = [analyze_statement(template(canonical(sql, "pyformat").sql, "postgresql").sql) for sql in sent]
    kinds = Counter(each.kind for each in found if each.parsed)
    print(f"ORM            {sum(kinds.values()) / len(sent):.1%} of {len(sent)} analysed: {dict(kinds)}")
    print(f"               {'without' if confined._kept == before else 'with'} a new worker")
    for each in found:
        if not each.parsed:
            print(f"    {each.reason}: {each.sql[:160]}")


if __name__ == "__main__":
    sys.exit(main())
