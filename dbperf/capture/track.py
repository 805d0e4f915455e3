"""`dbperf.track(name)`: say what the application is doing, so that its statements are told by it."""

from __future__ import annotations

import functools
import inspect
import logging
import weakref
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns
from types import TracebackType
from typing import Any, TypeVar

from dbperf.capture.scope import Operation, current, still_open
from dbperf.capture.settled import Settled, operation_ended
from dbperf.errors import InputError

_Function = TypeVar("_Function", bound=Callable[..., Any])


class track:  # noqa: N801  it is used like a function
    """An operation by name: a request, a job, a step of one.

    `with track("checkout") as op:`, `async with`, or as a decorator of a function or a coroutine function.
    `op.marker("saved")` notes how long it took to get there; `op.name` may be given until it is left.
    Operations nest: a statement belongs to the innermost one, the times of an operation hold those within. A
    thread or task inherits the operation it is started in as it inherits context variables.

    An exception makes it an error of the operation; a cancellation, which is a BaseException, ends it and no
    more. It never raises into the application, and where no engine is instrumented nothing is kept. Raises
    InputError where it decorates a generator function, whose body runs at other times than its call, and
    where it is given a function for a name.
    """

    __slots__ = ("_entered", "_name")

    def __init__(self, name: str) -> None:
        if callable(name):
            raise InputError('track takes a name: @dbperf.track("…")')
        self._name = name
        self._entered: list[Operation] = []

    def __enter__(self) -> Operation:
        operation = enter(self._name)
        self._entered.append(operation)
        return operation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(LookupError, ValueError):  # it was not entered
            operation = self._innermost()
            self._entered.remove(operation)
            leave(operation, failed=isinstance(error, Exception))

    def _innermost(self) -> Operation:
        """Of those entered by this object, which many may use at once, the one that is open here; where it is
        left in another context than it was entered in, the last.
        """
        operation = current.get()
        while operation is not None and operation not in self._entered:
            operation = operation.outer
        return operation or self._entered[-1]

    async def __aenter__(self) -> Operation:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        """The function, each call of which is an operation."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            called = getattr(function, "__qualname__", "a function")
            raise InputError(f"track cannot decorate {called}, a generator: use it inside")
        name = self._name
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked(*args: Any, **kw: Any) -> Any:
                with track(name):
                    return await function(*args, **kw)

        else:

            @functools.wraps(function)
            def tracked(*args: Any, **kw: Any) -> Any:
                with track(name):
                    return function(*args, **kw)

        return tracked  # type: ignore[return-value]


def enter(name: object) -> Operation:
    """Begin an operation within the one that is open here; it is the one open here now."""
    operation = Operation(str(name), still_open(current.get()))
    current.set(operation)
    return operation


def leave(operation: Operation, *, failed: bool = False) -> None:
    """End an operation and tell it, once; never raises.

    Here the one around it is open again, also where one within it was never left: a generator that is not
    exhausted. Left in another context than it was begun in, as when somebody else closes a generator, it
    changes nothing there; what knows it still, a task that outlives it, sees that it is over.
    """
    if operation.over:
        return
    try:
        nanoseconds = perf_counter_ns() - operation.started
        operation.over, operation.error = True, failed
        here = current.get()
        is_open = here is not None and here.is_within(operation)
        current.set(still_open(operation.outer if is_open else here))
        operation_ended(operation, nanoseconds, _home())
        if (outer := still_open(operation.outer)) is not None:
            outer.absorb(operation)
    except Exception as failure:  # noqa: BLE001  an observer never raises
        with suppress(Exception):
            _say_once(type(failure).__name__)


@functools.cache
def _say_once(name: str) -> None:
    logging.getLogger("dbperf").warning("an operation could not be told (%s)", name)


_homes: list[weakref.ref[Settled]] = []


def tell_at(home: Settled) -> None:
    """Have operations that run no statement told at `home`, the engine instrumented last, while it lives."""
    _homes[:] = [each for each in _homes if each() is not None] + [weakref.ref(home)]


def _home() -> Settled | None:
    homes = (each() for each in reversed(_homes))
    return next((each for each in homes if each is not None and not each.closed), None)
