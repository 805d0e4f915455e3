"""How dbperf.statements does on a corpus: `uv run python tests/bench/statements.py CORPUS.jsonl.gz`.

The corpus has a JSON object a line with `sql` and, if known, `valid` (whether the server's grammar takes it).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from time import perf_counter

from dbperf.statements import analyze_statement, template


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", help="JSON lines, gzipped")
    options.add_argument("--reasons", action="store_true", help="count why valid statements were not parsed")
    given = options.parse_args()
    seen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    fingerprints: set[str] = set()
    slowest, slowest_sql = 0.0, ""
    with gzip.open(given.corpus, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            sql, valid = entry["sql"], entry.get("valid", True)
            started = perf_counter()
            seen["statements"] += 1
            seen["valid"] += valid
            try:
                fingerprints.add(template(sql, "postgresql").fingerprint)
                facts = analyze_statement(sql)
            except Exception as error:  # noqa: BLE001 - counting them is the point
                seen["exceptions"] += 1
                reasons[f"EXCEPTION {error!r} in {sql[:200]}"] += 1
                continue
            seen["parsed"] += facts.parsed
            seen["valid parsed"] += facts.parsed and valid
            if valid and not facts.parsed:
                reasons[facts.reason.partition(" at line")[0]] += 1
            if (took := perf_counter() - started) > slowest:
                slowest, slowest_sql = took, sql
    print(f"statements     {seen['statements']}")
    print(f"exceptions     {seen['exceptions']}")
    print(f"parsed         {seen['parsed'] / seen['statements']:.1%}")
    print(f"parsed, valid  {seen['valid parsed'] / max(seen['valid'], 1):.1%} of {seen['valid']}")
    print(f"slowest        {slowest * 1e3:.0f} ms: {' '.join(slowest_sql.split())[:80]}")
    print(f"templates      {len(fingerprints)}")
    if given.reasons:
        for reason, count in reasons.most_common(30):
            print(f"{count:6} {reason}")
    return 1 if seen["exceptions"] else 0


if __name__ == "__main__":
    sys.exit(main())
