"""Waits until what a program did before is in its spool; to be imported by one that is going to be killed."""

import os
import time
from pathlib import Path

_spools = Path(os.environ["DBPERF_RECORD"])
_deadline = time.monotonic() + 30
while not any(b"seen" in each.read_bytes() for each in _spools.glob(f"{os.getpid()}-*")):
    assert time.monotonic() < _deadline
    time.sleep(0.01)
