"""How dbperf groups statements, next to libpg_query: `python tests/bench/fingerprints.py CORPUS.jsonl.gz`.

The corpus has a JSON object a line with `sql`. Printed are the pairs of queries and of INSERT, UPDATE, DELETE
and MERGE that one of the two holds for the same statement and the other does not, with examples: of each
group that only one makes, the two shortest that the other keeps apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable
from itertools import combinations, islice
from math import comb

import pglast

from dbperf.statements import template
from dbperf.statements.lexer import code

_BEFORE = re.compile(r"^[\s(]+")
_DATA = ("select", "with", "values", "insert", "update", "delete", "merge")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", help="JSON lines, gzipped")
    options.add_argument("--examples", type=int, default=20, help="how many pairs to show of each kind")
    given = options.parse_args()
    with gzip.open(given.corpus, "rt", encoding="utf-8") as lines:
        statements = dict.fromkeys(json.loads(line)["sql"] for line in lines)
    ours, theirs = {}, {}
    for sql in statements:
        if not _BEFORE.sub("", code(sql)).lower().startswith(_DATA):
            continue
        try:
            theirs[sql] = pglast.fingerprint(sql)
        except pglast.Error:
            continue
        ours[sql] = template(sql, "postgresql").fingerprint
    both = _pairs(ours, lambda sql: (ours[sql], theirs[sql]))
    print(f"statements           {len(ours)}")
    print(f"groups               {len(set(ours.values()))} ours, {len(set(theirs.values()))} libpg_query's")
    print(f"pairs, both          {both}")
    for name, here, there in (("ours alone", ours, theirs), ("libpg_query's alone", theirs, ours)):
        print(f"pairs, {name:21}{_pairs(ours, here.__getitem__) - both}")
        for one, other in islice(_split(here, there), given.examples):
            print(f"    {' '.join(one.split())[:200]}\n    {' '.join(other.split())[:200]}\n")
    return 0


def _groups(statements: dict[str, str], key: Callable[[str], Hashable]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for sql in statements:
        groups[key(sql)].append(sql)
    return list(groups.values())


def _pairs(statements: dict[str, str], key: Callable[[str], Hashable]) -> int:
    return sum(comb(len(group), 2) for group in _groups(statements, key))


def _split(here: dict[str, str], there: dict[str, str]) -> list[tuple[str, str]]:
    """One pair of each group that `here` makes and `there` does not."""
    found = []
    for group in _groups(here, here.__getitem__):
        group.sort(key=len)
        apart = (pair for pair in combinations(group, 2) if there[pair[0]] != there[pair[1]])
        found += islice(apart, 1)
    return found


if __name__ == "__main__":
    sys.exit(main())
