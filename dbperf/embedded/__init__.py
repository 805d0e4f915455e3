"""A private PostgreSQL from a wheel: binaries, cluster, server life."""
