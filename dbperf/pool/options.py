"""What a pool was asked to be."""

from __future__ import annotations

from dataclasses import dataclass

_SIZE, _OVERFLOW = 5, 10
"""Those of SQLAlchemy, where only one of them is given."""
UNKNOWN = _SIZE + _OVERFLOW
"""Connections at most where neither the user nor the database says how many: as many as SQLAlchemy allows."""
_FIRST = 16
"""How many may be in use at once before anything was observed."""


@dataclass(frozen=True, slots=True)
class Options:
    """The keywords of `AdaptivePool`, which documents them."""

    pool_size: int | None
    max_overflow: int | None
    timeout: float | None
    use_lifo: bool
    max_size: int | None
    max_waiting: int
    max_lifetime: float
    max_idle: float
    alive_bypass: float
    leak_after: float
    adaptive: bool
    pre_ping: bool

    @property
    def cap(self) -> int | None:
        """Connections in use at most, as far as the user says."""
        size, overflow = self.pool_size, self.max_overflow
        if size == 0 or overflow == -1 or (size is None and overflow is None):
            return self.max_size
        return (_SIZE if size is None else size) + (_OVERFLOW if overflow is None else overflow)

    def first_limit(self) -> int:
        """Connections in use at most, to begin with."""
        cap = self.cap or UNKNOWN
        return min(cap, max(_FIRST, self.pool_size or 0)) if self.adaptive else cap
