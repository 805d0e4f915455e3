"""`dbperf.track(name)`: say what the application is doing, so that its statements are told by it."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from dbperf.capture.scope import Operation, current
from dbperf.capture.settled import operation_ended
from dbperf.errors import InputError

if TYPE_CHECKING:
    from dbperf.capture.settled import Settled

_Function = TypeVar("_Function", bound=Callable[..., Any])


def newest() -> Settled | None:
    """Where operations that ran no statement are told: at the engine that was instrumented last."""
    return None


class track:  # noqa: N801  it is used like a function
    """An operation by name: a request, a job, a step of one.

    `with track("checkout") as op:`, `async with`, or as a decorator of a function or a coroutine function.
    `op.marker("saved")` notes how long it took to get there. Operations nest: a statement belongs to the
    innermost one, the times of an operation hold those within. A thread or task inherits the operation it is
    started in as it inherits context variables.

    It never raises into the application, and where no engine is instrumented nothing is kept. Raises
    InputError where it decorates a generator function, whose body runs at other times than its call.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Operation:
        operation = Operation(str(self._name), current.get())
        operation.token = current.set(operation)
        return operation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        operation = current.get()
        while operation is not None and operation.name != self._name:  # one within was never left
            operation = operation.outer
        if operation is not None:
            leave(operation, failed=isinstance(error, Exception))

    async def __aenter__(self) -> Operation:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        """The function, each call of which is an operation."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise InputError(f"track cannot decorate {function.__qualname__}, a generator: use it inside")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked(*args: Any, **kw: Any) -> Any:
                with self:
                    return await function(*args, **kw)

        else:

            @functools.wraps(function)
            def tracked(*args: Any, **kw: Any) -> Any:
                with self:
                    return function(*args, **kw)

        return tracked  # type: ignore[return-value]


def leave(operation: Operation, *, failed: bool) -> None:
    """End an operation: it is told, and the one around it is open again."""
    try:
        current.reset(operation.token)
    except ValueError:  # begun in another context: a generator's, or a task's
        current.set(operation.outer)
    operation.over = True
    try:
        operation.error = failed
        operation_ended(operation, perf_counter_ns() - operation.started, newest())
        if operation.outer is not None:
            operation.outer.absorb(operation)
    except Exception as failure:  # noqa: BLE001  an observer never raises
        with suppress(Exception):
            _say_once(type(failure).__name__)


@functools.cache
def _say_once(name: str) -> None:
    logging.getLogger("dbperf").warning("an operation could not be told (%s)", name)
