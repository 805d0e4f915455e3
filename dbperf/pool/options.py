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
    def sized(self) -> bool:
        """Whether `pool_size` and `max_overflow` are a cap."""
        size, overflow = self.pool_size, self.max_overflow
        return size != 0 and overflow != -1 and (size is not None or overflow is not None)

    @property
    def cap(self) -> int | None:
        """Connections in use at most, as far as the user says."""
        if not self.sized:
            return self.max_size
        size, overflow = self.pool_size, self.max_overflow
        return (_SIZE if size is None else size) + (_OVERFLOW if overflow is None else overflow)

    def first_limit(self) -> int:
        """Connections in use at most, to begin with."""
        cap = self.cap or UNKNOWN
        return min(cap, max(_FIRST, self.pool_size or 0)) if self.adaptive else cap
