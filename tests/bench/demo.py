"""The demo's own numbers: seconds, statements that became 10x faster, the total.

uv run python tests/bench/demo.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> None:
    """Run the demo once and print what it measured."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "from dbperf.cli import main; main()", "demo", "--format", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    seconds = time.perf_counter() - start
    summary = report["summary"]
    factors = sorted(
        (
            each["execute_seconds"] / each["after"]["execute_seconds"]
            for each in report["statements"]
            if each["recommendations"] and each["after"]
        ),
        reverse=True,
    )
    levels = [each["verification"]["level"] for each in report["recommendations"]]
    print(f"wall time           {seconds:.1f} s")
    print(f"recommendations     {len(levels)}, of which measured {levels.count('measured')}")
    print(f"statements advised  {len(factors)}: {', '.join(f'{each:.1f}x' for each in factors)}")
    print(f"10x faster or more  {sum(each >= 10 for each in factors)}")
    before, after = summary["execute_seconds"], summary["execute_seconds_after"]
    print(f"total               {before:.1f} s -> {after:.2f} s, {before / after:.1f}x")


if __name__ == "__main__":
    main()
