"""Rows are fetched after a statement was executed: SQLAlchemy's fetch strategies, timed.

A strategy is what a result asks for rows (`cursor_fetch_strategy` of an execution context, an internal of
SQLAlchemy that tests pin). Ours do what SQLAlchemy's do: for streamed results by calling them; the few lines
of the default one stand here again, for a call costs as much as the timing.
"""

from __future__ import annotations

import sys
from collections import deque
from time import perf_counter_ns
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy.engine import cursor as _cursor

from dbperf.capture.failure import kind_of
from dbperf.capture.wrapping import leave_no_frame

if TYPE_CHECKING:
    from dbperf.capture.slot import Slot

DEFAULT = _cursor._DEFAULT_FETCH
_TIMED_ONE_BY_ONE, _ONE_IN = 32, 64
_MANY = 100
_BUFFERS = (deque, list)  # of SQLAlchemy's adapters of asyncio drivers, by its version
_TAKING_ONE = frozenset({"first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none"})
_RESULT = sys.modules["sqlalchemy.engine.result"].__file__ or ""


class TimedFetch(_cursor.CursorFetchStrategy):
    """The default strategy. One for all executions of a statement by a thread: it knows nothing of any.

    Of rows that are read one by one, the first 32 since any other fetch are timed each, then one in 64, which
    counts for all of those: timing each would cost a fifth of reading it from SQLite.
    """

    __slots__ = ("_ahead", "_each", "_timed", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self._timed = self._ahead = self._each = 0

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        slot = self.slot
        if self._ahead:
            self._take_back(self._ahead)
        started = perf_counter_ns()
        try:
            rows = dbapi_cursor.fetchall()
            slot.fetch_ns += perf_counter_ns() - started
            if slot.fetched:
                slot.rows += len(rows)
            if len(rows) > _MANY and _one_is_taken():
                slot.unread_rows += len(rows) - 1
            if slot.clean:
                slot.touched()
            result._soft_close()
        except BaseException as error:  # noqa: BLE001  it is raised again, as SQLAlchemy does
            _fail(self, slot, result, dbapi_cursor, error)
        return rows

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        slot = self.slot
        if self._ahead:
            self._take_back(self._ahead)
        started = perf_counter_ns()
        try:
            rows = dbapi_cursor.fetchmany() if size is None else dbapi_cursor.fetchmany(size)
            slot.fetch_ns += perf_counter_ns() - started
            if slot.fetched:
                slot.rows += len(rows)
            if slot.clean:
                slot.touched()
            if not rows:
                result._soft_close()
        except BaseException as error:  # noqa: BLE001  it is raised again, as SQLAlchemy does
            _fail(self, slot, result, dbapi_cursor, error)
        return rows

    def fetchone(self, result: Any, dbapi_cursor: Any, hard_close: bool = False) -> Any:
        slot = self.slot
        try:
            if self._ahead:
                self._ahead -= 1
                row = dbapi_cursor.fetchone()
                if row is not None:
                    return row
                self._take_back(self._ahead + 1)
            else:
                started = perf_counter_ns()
                row = dbapi_cursor.fetchone()
                spent = perf_counter_ns() - started
                slot.fetch_ns += spent
                if slot.clean:
                    slot.touched()
                if row is not None:
                    if slot.fetched:
                        slot.rows += 1
                    self._timed += 1
                    if self._timed > _TIMED_ONE_BY_ONE:
                        self._count_ahead(spent)
                    return row
                self._timed = 0
            result._soft_close(hard=hard_close)
        except BaseException as error:  # noqa: BLE001  it is raised again, as SQLAlchemy does
            _fail(self, slot, result, dbapi_cursor, error)
        return None

    def _count_ahead(self, nanoseconds: int) -> None:
        """Count the next rows, which are not timed, as if each took as long as the last."""
        self._ahead, self._each = _ONE_IN - 1, nanoseconds
        self.slot.fetch_ns += nanoseconds * self._ahead
        if self.slot.fetched:
            self.slot.rows += self._ahead

    def _take_back(self, rows: int) -> None:
        """Take back rows that were counted ahead and did not come."""
        self.slot.fetch_ns -= self._each * rows
        if self.slot.fetched:
            self.slot.rows -= rows
        self._timed = self._ahead = 0
        self.slot.touched()

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        if (left := _left(dbapi_cursor)) > 0:
            self.slot.unread_rows += left
            if self.slot.fetched:
                self.slot.rows += left
            self.slot.touched()
        if self._timed:
            self._take_back(self._ahead)
        super().hard_close(result, dbapi_cursor)

    def yield_per(self, result: Any, dbapi_cursor: Any, num: int) -> None:
        DEFAULT.yield_per(result, dbapi_cursor, num)
        timed(self.slot, result)


class TimedBuffer(_cursor.BufferedRowCursorFetchStrategy):
    """The strategy for streamed results, which fetches batches; each is timed."""

    __slots__ = ("slot",)

    slot: Slot

    def _buffer_rows(self, result: Any, dbapi_cursor: Any) -> None:
        started = perf_counter_ns()
        try:
            super()._buffer_rows(result, dbapi_cursor)
        except BaseException as error:
            _failed(self.slot, error)
            raise
        self._fetched(started, len(self._rowbuffer))

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        if size is None:
            return self.fetchall(result, dbapi_cursor)
        waiting = len(self._rowbuffer)
        started = perf_counter_ns()
        try:
            rows = super().fetchmany(result, dbapi_cursor, size)
        except BaseException as error:
            _failed(self.slot, error)
            raise
        self._fetched(started, len(rows) + len(self._rowbuffer) - waiting)
        return rows

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        waiting = len(self._rowbuffer)
        started = perf_counter_ns()
        try:
            rows = super().fetchall(result, dbapi_cursor)
        except BaseException as error:
            _failed(self.slot, error)
            raise
        self._fetched(started, len(rows) - waiting)
        return rows

    def _fetched(self, started: int, rows: int) -> None:
        slot = self.slot
        slot.fetch_ns += perf_counter_ns() - started
        if slot.fetched:
            slot.rows += rows
        if slot.clean:
            slot.touched()


def timed(slot: Slot, result: Any) -> None:
    """Have the fetches of a result that may be streamed timed; one of another kind stays as it is."""
    strategy = result.cursor_strategy
    if strategy is DEFAULT:
        result.cursor_strategy = slot.fetch
    if type(strategy) is not _cursor.BufferedRowCursorFetchStrategy:
        return
    ours = TimedBuffer.__new__(TimedBuffer)
    for name in _cursor.BufferedRowCursorFetchStrategy.__slots__:
        setattr(ours, name, getattr(strategy, name))
    ours.slot = slot
    result.cursor_strategy = ours


def watch_streamed(slot: Slot, context: Any) -> None:
    """Have a streamed result timed, the first batch too, which SQLAlchemy fetches as it makes the result."""
    original = context._setup_result_proxy

    def _setup_result_proxy() -> Any:
        del context._setup_result_proxy
        started = perf_counter_ns()
        try:
            result = original()
        except BaseException as error:
            _failed(slot, error)
            raise
        slot.fetch_ns += perf_counter_ns() - started
        timed(slot, result)
        if slot.fetched:
            slot.rows += len(getattr(result.cursor_strategy, "_rowbuffer", ()))
        slot.touched()
        return result

    context._setup_result_proxy = _setup_result_proxy


def _fail(
    strategy: _cursor.CursorFetchStrategy, slot: Slot, result: Any, dbapi_cursor: Any, error: BaseException
) -> NoReturn:
    """What SQLAlchemy does with an error of a fetch."""
    slot.failed(kind_of(error), type(error).__name__)
    slot.touched()
    try:
        strategy.handle_exception(result, dbapi_cursor, error)
    except BaseException as raised:
        leave_no_frame(raised)
        raise


def _failed(slot: Slot, error: BaseException) -> None:
    """Count an error that SQLAlchemy has wrapped already, and leave no frame of the caller in it."""
    original = getattr(error, "orig", None) or error
    slot.failed(kind_of(original), type(original).__name__)
    slot.touched()
    leave_no_frame(error)


def _left(dbapi_cursor: Any) -> int:
    """Rows that the driver has fetched and nobody read."""
    rows: Any = getattr(dbapi_cursor, "_rows", None)
    if type(rows) in _BUFFERS:
        return len(rows)
    position = getattr(dbapi_cursor, "rownumber", None)  # PEP 249's optional extension; psycopg has it
    rowcount = getattr(dbapi_cursor, "rowcount", -1)
    return rowcount - position if type(position) is int and type(rowcount) is int else 0


def _one_is_taken() -> bool:
    """Whether all rows are fetched for `first()` and its like, as the ORM does, and the rest dropped."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(16):
        if frame is None:
            return False
        code = frame.f_code
        if code.co_name in _TAKING_ONE and code.co_filename == _RESULT:
            return True
        frame = frame.f_back
    return False
