"""dbperf: which line of your code makes the database slow, what to change, and the proof.

The names are loaded on first use, so that `import dbperf` costs an application next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbperf.analysis import analyze
    from dbperf.engine import Perf, create_async_engine, create_engine, instrument, perf
    from dbperf.settings import Settings

__version__ = "0.1.0"
__all__ = [
    "Perf",
    "Settings",
    "analyze",
    "create_async_engine",
    "create_engine",
    "instrument",
    "perf",
    "track",
]

_HOME = dict.fromkeys(__all__, "dbperf.engine") | {
    "track": "dbperf.capture.track",
    "Settings": "dbperf.settings",
    "analyze": "dbperf.analysis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dbperf' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
