"""A file is only ever replaced whole: written beside its place, synced, and moved there."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(place: Path, mode: int) -> Iterator[Path]:
    """A new file beside `place` that takes its place when the block ends well.

    `mode` is subject to the umask. When the block fails, what was at `place` stays and nothing is left
    beside it. Raises OSError.
    """
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield beside
        _sync(beside)
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # not every system lets a folder be opened; the file is safe already
        _sync(place.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
