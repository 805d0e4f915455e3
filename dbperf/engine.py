"""Engines that measure: the only place where the parts are wired to an engine."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.engine import Dialect

from dbperf.capture import Capture, database_of
from dbperf.choosing import with_pool, without_ours
from dbperf.errors import DbperfError, InputError
from dbperf.model.workload import Workload
from dbperf.settings import Resolved, Settings, resolve

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from dbperf.model.workload import Writer
    from dbperf.workload.flush import Flusher
    from dbperf.workload.outlet import Sink

# The handle lives on the dialect instance: an engine, its `execution_options()` copies and its asyncio
# proxy share one dialect, and the handle goes when they go.
_HANDLE = "_dbperf"


class Perf:
    """The handle of an instrumented engine."""

    __slots__ = ("_capture", "_dialect", "_flusher", "settings")

    def __init__(self, dialect: Dialect, settings: Resolved) -> None:
        self.settings = settings
        self._dialect = dialect
        self._capture: Capture | None = None
        self._flusher: Flusher | None = None

    def _attach(self, engine: Engine) -> None:
        if not self.settings.enabled:
            return
        database = database_of(engine.url)
        if not self.settings.store and "DBPERF_RECORD" not in os.environ:
            self._capture = Capture(engine, database, self.settings)
            return
        from dbperf.workload.flush import flusher

        self._flusher = flusher
        self._capture = Capture(engine, database, self.settings, flusher.awake)
        _write_down(self._capture, self.settings, flusher)

    def workload(self) -> Workload:
        """What ran so far, folded into statements, the slowest in total first.

        Parses each new SQL text (0.2 to 3 ms): not for an event loop that serves requests.
        """
        if self._capture is None:
            return Workload()
        from dbperf.workload.fold import fold

        seen = self._capture.observations.seen()
        return fold(seen.observed, seen.unseen, seen.figures)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the workload to one SQLite file, readable by its owner alone when it holds parameters.

        Replaces an earlier workload there, but where dbperf is switched off there is none to put in its
        place and nothing is written. Raises InputError, and changes nothing, when `path` is somebody
        else's file or cannot be written.
        """
        if self._capture is None:
            return
        from dbperf.workload.file import save

        save(self.workload(), path)

    def close(self) -> None:
        """Take everything off the engine again, and write what is not in the store yet (for 2 s at most).

        The workload can still be read. Closing twice is fine.
        """
        if self._capture is not None:
            self._capture.close()
        if self._flusher is not None:
            self._flusher.flush(within=2.0)
        if vars(self._dialect).get(_HANDLE) is self:
            del vars(self._dialect)[_HANDLE]


def _write_down(capture: Capture, settings: Resolved, flusher: Flusher) -> None:
    """Have what the capture sees written: to the spool of `dbperf record`, or else to the store."""
    seen, owner = capture.observations, weakref.ref(capture)
    if "DBPERF_RECORD" in os.environ:
        from dbperf import recording

        recording.start()
        flusher.add("record", recording.sink, Resolved().flush_seconds, seen, owner)
        return
    private = settings.capture_parameters
    store = settings.store if "://" in settings.store else os.path.abspath(settings.store)

    def writer(writer: Writer) -> Sink:  # called on the flusher's thread: it loads the parser
        from dbperf.workload.store.writer import StoreWriter

        return StoreWriter(store, writer, private=private)

    flusher.add((store, private), writer, settings.flush_seconds, seen, owner)


def create_engine(url: str | URL, *, dbperf: Settings | None = None, **kw: Any) -> Engine:
    """`sqlalchemy.create_engine`, instrumented; every keyword of SQLAlchemy passes through.

    The pool is dbperf's, unless `poolclass` or `pool` is given or the settings say otherwise; its keywords
    may be given too. With `?plugin=dbperf` in the URL it stays SQLAlchemy's.

    Raises InputError for a setting that cannot be used, else what SQLAlchemy raises.
    """
    if _has_plugin(url, kw):  # which instruments the engine itself, and takes these settings
        return sqlalchemy.create_engine(url, dbperf=dbperf, **without_ours(kw))
    settings = _resolved(dbperf)
    engine = sqlalchemy.create_engine(url, **with_pool(url, kw, settings))
    _instrument(engine, settings)
    return engine


def create_async_engine(url: str | URL, *, dbperf: Settings | None = None, **kw: Any) -> AsyncEngine:
    """`sqlalchemy.ext.asyncio.create_async_engine`, instrumented like `create_engine`."""
    from sqlalchemy.ext import asyncio

    if _has_plugin(url, kw):
        return asyncio.create_async_engine(url, dbperf=dbperf, **without_ours(kw))
    settings = _resolved(dbperf)
    engine = asyncio.create_async_engine(url, **with_pool(url, kw, settings, is_async=True))
    _instrument(_sync(engine), settings)
    return engine


def _has_plugin(url: str | URL, kw: dict[str, Any]) -> bool:
    return "dbperf" in (*make_url(url).normalized_query.get("plugin", ()), *kw.get("plugins", ()))


def instrument(engine: Engine | AsyncEngine, settings: Settings | None = None) -> Perf:
    """Measure an existing engine from now on. An engine that is instrumented already keeps its handle
    and its settings. Raises InputError for a setting that cannot be used.
    """
    _check(settings)
    sync = _sync(engine)
    if (known := vars(sync.dialect).get(_HANDLE)) is not None:
        return known  # type: ignore[no-any-return]
    return _instrument(sync, resolve(settings))


def _check(settings: object) -> None:
    if not isinstance(settings, Settings | None):
        raise InputError(f"dbperf= takes dbperf.Settings, not {type(settings).__name__}")


def _resolved(settings: Settings | None) -> Resolved:
    _check(settings)
    return resolve(settings)


def _instrument(sync: Engine, settings: Resolved) -> Perf:
    new = Perf(sync.dialect, settings)
    handle: Perf = vars(sync.dialect).setdefault(_HANDLE, new)  # atomic: one of two threads wins
    if handle is new:
        try:
            handle._attach(sync)
        except Exception as failure:  # noqa: BLE001  an engine or dialect unlike any that is known
            logging.getLogger("dbperf").warning("an engine cannot be measured (%s)", type(failure).__name__)
    return handle


def perf(engine: Engine | AsyncEngine) -> Perf:
    """The handle of an instrumented engine. Raises DbperfError for an engine that is not instrumented."""
    sync = _sync(engine)
    handle: Perf | None = vars(sync.dialect).get(_HANDLE)
    if handle is None:
        name = database_of(sync.url)
        raise DbperfError(f"the engine of {name} is not instrumented: call dbperf.instrument(engine) first")
    return handle


def _sync(engine: Engine | AsyncEngine) -> Engine:
    sync = getattr(engine, "sync_engine", engine)
    if not isinstance(sync, Engine):
        raise InputError(f"a {type(engine).__name__} is not an SQLAlchemy engine")
    return sync
