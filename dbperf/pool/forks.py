"""A forked child must not touch its parent's connections: two processes would talk on one socket."""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol


class _Forks(Protocol):
    def forked(self) -> list[Any]: ...


_pools: weakref.WeakSet[Any] = weakref.WeakSet()
_inherited: list[Any] = []
"""What holds connections of the parent, kept: a driver's destructor might say goodbye in its name."""


def watch(pool: _Forks) -> None:
    """Have a pool start empty in children."""
    _pools.add(pool)


def keep(record: Any) -> None:
    """Keep what is the parent's out of everybody's way."""
    _inherited.append(record)


def _forked() -> None:
    for pool in list(_pools):
        _inherited.extend(pool.forked())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
