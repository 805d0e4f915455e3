"""What tells one access from another, as text and back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from dbperf.model.workload import Access, CallSite


def key_of(access: Access) -> str:
    """The key of an access as JSON, ASCII alone."""
    return _text(access.kind, access.operation, access.site, access.loader, access.parent)


@lru_cache(maxsize=10_000)  # the same are told again and again, each second
def _text(kind: str, operation: str, site: CallSite | None, loader: str, parent: CallSite | None) -> str:
    return json.dumps([kind, operation, _place(site), loader, _place(parent)], separators=(",", ":"))


def _place(site: CallSite | None) -> tuple[str, int, str] | None:
    return None if site is None else (site.file, site.line, site.function)


def access_of(key: str, operations: int = 0, calls: int = 0, nanoseconds: int = 0, reads: int = 0) -> Access:
    """An access from its key and counts. Raises ValueError for a key that is none."""
    try:
        kind, operation, site, loader, parent = json.loads(key)
        parts = (str(kind), str(operation), _site(site), str(loader), _site(parent))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return Access(*parts, operations, calls, nanoseconds, reads)


def _site(place: Any) -> CallSite | None:
    if place is None:
        return None
    file, line, function = place
    return CallSite(str(file), int(line), str(function), 0)
