"""What importing dbperf costs, in CPU, as a ratio of importing SQLAlchemy's asyncio extension.

uv run python tests/bench/import_cost.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 15
BASE = "import sqlalchemy.ext.asyncio"
PROGRAMS = {
    "import dbperf": f"{BASE}; import dbperf",
    "import dbperf; dbperf.create_engine": f"{BASE}; import dbperf; dbperf.create_engine",
}
CLOCK = "import time; start = time.process_time(); {}; print(time.process_time() - start)"


def seconds(program: str) -> float:
    """CPU of a fresh interpreter for `program`, without the interpreter's own start."""
    command = [sys.executable, "-c", CLOCK.format(program)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def main() -> None:
    """Interleaved, so that what else the machine does falls on all alike; the median of the differences."""
    more: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    base, alone = [], []
    for _ in range(RUNS):
        base.append(seconds(BASE))
        alone.append(seconds("import dbperf"))
        for name, program in PROGRAMS.items():
            more[name].append(seconds(program) - base[-1])
    whole = statistics.median(base)
    print(f"{BASE}: {whole * 1000:.0f} ms of CPU")
    print(f"  {'import dbperf':36} {statistics.median(alone) / whole:5.2f}x alone")
    for name, differences in more.items():
        print(f"  {name:36} {statistics.median(differences) / whole:5.2f}x on top")


if __name__ == "__main__":
    main()
