"""Every exception dbperf raises on purpose.

    DbperfError                 its message is one line: what was wrong and what to do
    ├── InputError              a file, option, URL or setting that cannot be used
    │   └── StoreError          a store or workload file: missing, not one, damaged, busy, of another version
    ├── ConnectError            the database could not be reached or refused us; never carries a password
    ├── StatementError          a statement that cannot be explained; `reason` says why
    ├── UnsafeError             an operation the target's environment forbids
    └── EmbeddedError           the embedded PostgreSQL is missing or did not start

The capture side raises none of these into an application: it switches itself off instead.
"""

from __future__ import annotations


class DbperfError(Exception):
    """Base of all dbperf errors; `str()` is a single line fit for a terminal."""


class InputError(DbperfError):
    """A file, option, URL or setting that cannot be used."""


class StoreError(InputError):
    """A store, as a workload file is one, that cannot be opened, read or written; it says what to do."""


class ConnectError(DbperfError):
    """The database could not be reached or refused the connection."""


class StatementError(DbperfError):
    """A statement that cannot be explained."""

    def __init__(self, reason: str, sqlstate: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sqlstate = sqlstate


class UnsafeError(DbperfError):
    """An operation that the target's environment forbids."""


class EmbeddedError(DbperfError):
    """The embedded PostgreSQL is missing or did not start."""
