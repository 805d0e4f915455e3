"""A private PostgreSQL from a wheel: binaries, cluster, server life."""

from dbperf.embedded.server import Server, start

__all__ = ["Server", "start"]
