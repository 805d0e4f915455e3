"""A recorded process appends what it sees to a file of its own; who started it reads them all at the end.

One line a flush, in JSON, numbered: after a line that could not be written whole, the next has the same
number and all that was in it. So of lines with one number the last counts, even if the earlier one lacks but
its line feed. SQL texts, call sites and names are spelled out once a file, in the line that first needs them.

This is loaded into programs that dbperf knows nothing about: the standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import (
    NUMBERS,
    Access,
    CallSite,
    Counted,
    Observed,
    Seen,
    Unseen,
    Writer,
    seen_together,
)
from dbperf.workload import values
from dbperf.workload.keys import access_of, key_of

FORMAT = 2
_SUFFIX = ".spool"
_NAMES_KEPT = 10_000
_NUMBERS = attrgetter(*NUMBERS)

_Number = Callable[..., int]
"""Gives a name its number in the file."""


class Spool:
    """A sink: the file of this process in a folder. Parameters are written only where `parameters` is true.

    Raises OSError when the folder cannot be written.
    """

    def __init__(self, folder: str, writer: Writer, *, parameters: bool) -> None:
        self._parameters = parameters
        self._names: dict[tuple[str | int, ...], int] = {}
        self._named = self._number = 0
        self._torn = False
        path = os.path.join(folder, f"{writer.pid}-{writer.id:016x}{_SUFFIX}")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(path, flags, 0o600)
        try:
            _lock(self._file)
            self._append(_header(writer))
        except OSError:
            self.close()
            os.unlink(path)
            raise

    def write(self, at: float, seen: Seen) -> None:
        """Append a line. Raises OSError when it could not be written whole."""
        if os.fstat(self._file).st_nlink == 0:  # the recording is over, and nobody reads on
            return
        if len(self._names) >= _NAMES_KEPT:
            self._names.clear()
        new: dict[tuple[str | int, ...], int] = {}

        def number(*name: str | int) -> int:
            known = self._names.get(name)
            return new.setdefault(name, self._named + len(new)) if known is None else known

        line = {
            "number": self._number,
            "at": at,
            "seen": [self._row(each, number) for each in seen.observed],
            "figures": [_figure(each, number) for each in seen.figures],
            "unseen": astuple(seen.unseen),
            "names": [[number, *name] for name, number in new.items()],
        }
        self._append(line)
        self._number += 1
        self._named += len(new)
        self._names |= new

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _row(self, each: Observed, number: _Number) -> list[Any]:
        text = number(each.sql, each.dialect, each.paramstyle, each.database)
        sites = [(number(site.file, site.line, site.function), site.calls) for site in each.call_sites]
        accesses = [
            (number(key_of(one)), one.operations, one.calls, one.nanoseconds, one.reads)
            for one in each.accesses
        ]
        names = [[(number(name), calls) for name, calls in part] for part in (each.failures, each.operations)]
        samples = [_sample(one) for one in each.parameters] if self._parameters else []
        return [text, _NUMBERS(each), each.latency.buckets, sites, *names, accesses, samples]

    def _append(self, line: dict[str, Any]) -> None:
        data = (b"\n" if self._torn else b"") + json.dumps(line, separators=(",", ":")).encode() + b"\n"
        self._torn = True
        if os.write(self._file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False


def _header(writer: Writer) -> dict[str, Any]:
    return {
        "dbperf spool": FORMAT,
        "writer": [writer.id, writer.host, writer.pid, writer.started],
        "python": sys.version.split()[0],
        "sqlalchemy": getattr(sys.modules.get("sqlalchemy"), "__version__", ""),
    }


def _figure(each: Figure, number: _Number) -> list[Any]:
    return [number(each.kind, each.name, each.database), [(number(name), n) for name, n in each.counts]]


def _sample(parameters: Any) -> list[Any]:
    if isinstance(parameters, dict):
        return [list(parameters), values.dumps(tuple(parameters.values()))]
    return [None, values.dumps(parameters)]


def _lock(file: int) -> None:
    """Held as long as the process lives, whatever becomes of its process id and its children."""
    with contextlib.suppress(ImportError, OSError):  # Windows, file systems without locks
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def still_written(folder: Path) -> int:
    """How many processes that have a spool in `folder` are still alive."""
    import fcntl

    alive = 0
    for path in folder.glob(f"*{_SUFFIX}"):
        with path.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                alive += 1
    return alive


@dataclass(frozen=True, slots=True)
class Batch:
    """What a process saw until `at` (seconds since 1970) since the batch before."""

    at: float
    seen: Seen


@dataclass(frozen=True, slots=True)
class Spooled:
    """A process's spool: a batch for each minute by its clock, which took `flushes` lines.

    `torn` lines are lost: it was killed while it wrote, or the file was damaged.
    """

    writer: Writer
    batches: tuple[Batch, ...]
    flushes: int
    torn: int


def read_spools(folder: Path, skipped: list[Path]) -> Iterator[Spooled]:
    """The spools in a folder; files that are none go to `skipped`. Raises OSError."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with path.open("rb") as file:
            writer = _writer(file.readline())
            if writer is None:
                skipped.append(path)
            else:
                yield _spooled(writer, file)


def _writer(line: bytes) -> Writer | None:
    header = _json(line)
    try:
        number, host, process, started = header["writer"]
        if header["dbperf spool"] != FORMAT:
            return None
        return Writer(int(number), str(host), int(process), float(started))
    except (KeyError, TypeError, ValueError):
        return None


def _spooled(writer: Writer, lines: Iterable[bytes]) -> Spooled:
    reader, last = _Reader(), dict[int, Batch]()
    numbers, minutes = set[int](), list[list[Batch]]()
    last_is_torn = False
    for line in lines:
        if line == b"\n":
            continue
        try:
            number, batch = reader.batch(_json(line))
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
            last_is_torn = True
            continue
        last_is_torn = False
        numbers.add(number)
        if number not in last:  # else the one before was not written whole, and this one has all of it
            _file(last.values(), minutes)
        last = {number: batch}
    _file(last.values(), minutes)
    torn = max(numbers, default=-1) + 1 - len(numbers) + last_is_torn
    return Spooled(writer, tuple(map(_as_one, minutes)), len(numbers), torn)


def _file(batches: Iterable[Batch], minutes: list[list[Batch]]) -> None:
    for batch in batches:
        if minutes and minutes[-1][0].at // 60 == batch.at // 60:
            minutes[-1].append(batch)
            continue
        if minutes:
            minutes[-1] = [_as_one(minutes[-1])]  # one batch takes less memory than sixty
        minutes.append([batch])


def _as_one(batches: list[Batch]) -> Batch:
    return Batch(batches[-1].at, seen_together(batch.seen for batch in batches))


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class _Reader:
    names: dict[int, list[Any]] = field(default_factory=dict)

    def batch(self, line: Any) -> tuple[int, Batch]:
        """A line and its number. Raises KeyError, TypeError, ValueError … for one that is none of ours."""
        self.names |= {number: name for number, *name in line["names"]}
        seen = Seen(
            tuple(self._observed(*row) for row in line["seen"]),
            tuple(self._figure(*row) for row in line["figures"]),
            Unseen(*map(int, line["unseen"])),
        )
        return int(line["number"]), Batch(float(line["at"]), seen)

    def _observed(
        self,
        text: int,
        numbers: Any,
        latency: Any,
        sites: Any,
        failures: Any,
        operations: Any,
        accesses: Any,
        samples: Any,
    ) -> Observed:
        sql, dialect, paramstyle, database = map(str, self.names[text])
        return Observed(
            sql=sql,
            dialect=dialect,
            paramstyle=paramstyle,
            database=database,
            latency=Latency(tuple((int(bucket), int(count)) for bucket, count in latency)),
            call_sites=tuple(self._site(place, calls) for place, calls in sites),
            failures=self._counted(failures),
            operations=self._counted(operations),
            accesses=tuple(self._access(*each) for each in accesses),
            parameters=tuple(_parameters(*each) for each in samples),
            **dict(zip(NUMBERS, map(int, numbers), strict=True)),
        )

    def _site(self, place: int, calls: int) -> CallSite:
        file, line, function = self.names[place]
        return CallSite(str(file), int(line), str(function), int(calls))

    def _access(self, key: int, *counts: Any) -> Access:
        return access_of(self._name(key), *map(int, counts))

    def _figure(self, thing: int, counts: Any) -> Figure:
        kind, name, database = map(str, self.names[thing])
        return Figure(kind, name, database, self._counted(counts))

    def _counted(self, counts: Any) -> Counted:
        return tuple((self._name(name), int(number)) for name, number in counts)

    def _name(self, number: int) -> str:
        (name,) = self.names[number]
        return str(name)


def _parameters(names: list[str] | None, text: str) -> Any:
    positional = values.loads(text)
    return positional if names is None else dict(zip(names, positional, strict=True))
