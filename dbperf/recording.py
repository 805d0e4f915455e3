"""Inside a program that `dbperf record` runs: every engine is followed, and what it does goes to the spool.

`record` sets `DBPERF_RECORD` to the spool's folder, which is all that matters to engines that dbperf
instruments anyway: they are spooled instead of stored, whatever their own `Settings.store` says. For all
other engines it puts a `sitecustomize` on PYTHONPATH that calls `follow`. An engine that dbperf makes for
itself says so by `execution_options={"dbperf_internal": True}` and is left alone.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dbperf.model.workload import Seen, Writer
    from dbperf.workload.outlet import Sink

FOLDER, PARAMETERS = "DBPERF_RECORD", "DBPERF_RECORD_PARAMETERS"
_LOWEST = (2, 0, 30)
_SITECUSTOMIZE = Path(__file__).resolve().parent / "_record"


def environment(folder: str, *, parameters: bool) -> dict[str, str]:
    """The variables that make Python programs, and theirs, spool to `folder`."""
    path = [str(_SITECUSTOMIZE)]
    path += [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each not in ("", *path)]
    return {"PYTHONPATH": os.pathsep.join(path), FOLDER: folder, PARAMETERS: "1" if parameters else ""}


def note(word: str, more: str = "") -> None:
    """Leave a word for `record`, which explains by it why nothing was recorded."""
    with contextlib.suppress(Exception):
        Path(os.environ[FOLDER], f"{word}.note").write_text(more, "utf-8")


def follow(engine: Engine) -> None:
    """Instrument an engine that the program made."""
    import sqlalchemy

    version = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:3] if part.isdigit())
    if version < _LOWEST:
        note("sqlalchemy", sqlalchemy.__version__)
        return
    if engine.get_execution_options().get("dbperf_internal"):
        return
    from dbperf.engine import instrument
    from dbperf.errors import InputError
    from dbperf.settings import Settings

    try:
        perf = instrument(engine, Settings(capture_parameters=bool(os.environ.get(PARAMETERS))))
    except InputError as error:
        note("settings", str(error))
    else:
        note("engine" if perf.settings.enabled else "disabled")


class _Over:
    """Where a process writes that began when the recording had ended: a daemon's new worker, say."""

    def write(self, at: float, seen: Seen) -> None:
        pass

    def close(self) -> None:
        pass


def sink(writer: Writer) -> Sink:
    """The spool of this process. Raises OSError."""
    from dbperf.workload.spool import Spool

    if not os.path.isdir(os.environ[FOLDER]):
        return _Over()
    try:
        return Spool(os.environ[FOLDER], writer, parameters=bool(os.environ.get(PARAMETERS)))
    except OSError:
        note("unwritten")
        raise


@functools.cache
def start() -> None:
    """Once a process: no end of it goes by without a flush, and the log stays the program's own."""
    from dbperf.workload.flush import flusher

    flusher.collector = False
    logger = logging.getLogger("dbperf")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    for name in ("_exit", "execv", "execve"):
        setattr(os, name, _flushing_first(getattr(os, name), lambda *_: True))
    # What uvicorn ends itself with, so that it dies of the signal it was sent.
    signal.raise_signal = _flushing_first(signal.raise_signal, _is_deadly)


def _is_deadly(number: int) -> bool:
    return signal.getsignal(number) == signal.SIG_DFL


def _flushing_first(original: Callable[..., Any], ends: Callable[..., bool]) -> Callable[..., Any]:
    from dbperf.workload.flush import LAST_SECONDS, flusher

    @functools.wraps(original)
    def ending(*args: Any, **kw: Any) -> Any:
        with contextlib.suppress(Exception):
            if ends(*args):
                flusher.flush(LAST_SECONDS)
        try:
            return original(*args, **kw)
        except BaseException as error:
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            raise

    return ending
