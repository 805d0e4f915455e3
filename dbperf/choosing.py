"""Which pool an engine of `dbperf.create_engine` gets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, QueuePool

from dbperf.settings import Resolved

OURS = frozenset(
    {"max_size", "max_waiting", "max_lifetime", "max_idle", "alive_bypass", "leak_after", "adaptive"}
)
"""The keywords that only dbperf's pool knows. Said here, so that who switched dbperf off need not load it."""


def with_pool(
    url: str | URL, keywords: dict[str, Any], settings: Resolved, *, is_async: bool = False
) -> dict[str, Any]:
    """The keywords for SQLAlchemy's `create_engine`, with the pool that the settings ask for.

    Ours takes the place of a queue that the dialect chose. One that the user chose stays, and so do the
    pools of dialects that know better, such as that of SQLite in memory.
    """
    if "pool" in keywords or "poolclass" in keywords:
        return keywords
    if not settings.enabled or settings.pool == "sqlalchemy":
        return without_ours(keywords)
    chosen = _of_dialect(make_url(url), is_async=is_async)
    if chosen not in (QueuePool, AsyncAdaptedQueuePool):
        return keywords
    from dbperf.pool import AdaptivePool, AsyncAdaptivePool

    ours = AdaptivePool if chosen is QueuePool else AsyncAdaptivePool
    fixed = {"adaptive": False} if settings.pool == "fifo" else {}
    return {"poolclass": ours, **fixed, **keywords}


def without_ours(keywords: dict[str, Any]) -> dict[str, Any]:
    """Without the keywords that only dbperf's pool knows: SQLAlchemy would refuse them, and dbperf can be
    switched off with no change to the program.
    """
    return {name: value for name, value in keywords.items() if name not in OURS}


def _of_dialect(url: URL, *, is_async: bool) -> type[Pool] | None:
    """None for a dialect that cannot be loaded: SQLAlchemy says so itself."""
    try:
        entry = url._get_entrypoint()
        dialect = entry.get_async_dialect_cls(url) if is_async else entry.get_dialect_cls(url)
        # As an instance of it would be asked; there is none before the engine is there.
        return dialect.get_dialect_pool_class(dialect, url)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001
        return None
