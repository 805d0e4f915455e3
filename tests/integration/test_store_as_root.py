"""A store on a disk that is full, really: on a small file system of its own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbperf.errors import StoreError
from dbperf.model.workload import Observed, Seen, Unseen, Writer
from dbperf.workload.file import load
from dbperf.workload.fold import fold
from dbperf.workload.store.writer import StoreWriter


def seen(count: int, calls: int = 1) -> tuple[Observed, ...]:
    texts = (f"SELECT * FROM t{number}" for number in range(count))
    return tuple(Observed(each, "sqlite", "qmark", "/shop", calls=calls) for each in texts)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder with 512 kB of room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_what_was_seen_waits_until_there_is_room(small: Path) -> None:
    filler, file = small / "filler", small / "store.sqlite"
    sink = StoreWriter(str(file), Writer(1, "host", 1, 0.0))
    sink.write(1e9, Seen(seen(10)))
    with filler.open("wb", buffering=0) as other, contextlib.suppress(OSError):
        while other.write(bytes(4096)):
            pass
    for _ in range(2):
        with pytest.raises(StoreError, match=r": cannot be written: the disk is full$"):
            sink.write(1e9 + 60, Seen(seen(100, calls=2)))
    filler.unlink()
    sink.write(1e9 + 120, Seen(seen(100, calls=3), unseen=Unseen(flush_failures=2)))
    assert load(file) == fold([*seen(10), *seen(100, calls=3)], Unseen(flush_failures=2))
    assert [path.name for path in small.iterdir()] == ["store.sqlite"]
