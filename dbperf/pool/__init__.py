"""Connection pools that size themselves."""

from dbperf.pool.adaptive import AdaptivePool, AsyncAdaptivePool

__all__ = ["AdaptivePool", "AsyncAdaptivePool"]
