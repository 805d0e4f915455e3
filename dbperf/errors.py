"""Every exception dbperf raises on purpose.

    DbperfError                 its message is one line: what was wrong and what to do
    ├── InputError              a file, option, URL or setting that cannot be used
    │   └── WorkloadFileError   a workload file that is none, is torn, or is newer than this dbperf
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


class WorkloadFileError(InputError):
    """A workload file that is none, is torn, or was written by a newer dbperf."""


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
