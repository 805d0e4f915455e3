"""Who holds connections, and since when."""

from __future__ import annotations

from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbperf.pool.adaptive import AdaptivePool

DEPTH = 12
Holder = tuple[float, int, list[Any]]


def described(pool: AdaptivePool) -> str:
    return ""
