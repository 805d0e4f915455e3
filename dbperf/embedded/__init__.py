"""A private PostgreSQL from a wheel: binaries, cluster, server life. For Linux and macOS.

server.py is what callers see, binaries.py finds the programs and the account to run them as, and lease.py
and supervisor.py are the two ends of the pipe that ties the server's life to its owner's.
"""

from dbperf.embedded.server import Server, start

__all__ = ["Server", "start"]
