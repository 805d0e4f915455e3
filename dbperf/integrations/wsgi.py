"""WSGI: every request is an operation, named by its route. Flask tells the route."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from dbperf.capture.scope import Operation, current, still_open
from dbperf.capture.track import leave
from dbperf.integrations.naming import OPERATION, request_name

_Environ = dict[str, Any]
_App = Callable[[_Environ, Any], Iterable[bytes]]
_Result = TypeVar("_Result")

_CONTEXTS = "werkzeug.debug.preserve_context"
"""Flask calls what is here with its contexts before it leaves them: later nothing tells the route. It is for
debuggers, and the test client has one.
"""


class DbperfMiddleware:
    """`app.wsgi_app = DbperfMiddleware(app.wsgi_app)` for Flask; around any other WSGI application else.

    An operation lasts from the call of the application to the last part of its response, or until the
    response is closed. An exception or a status from 500 on is its error.

    `environ["dbperf.operation"]` is the operation: for markers, and for its name, which, where the
    application gives one, is kept.
    """

    def __init__(self, app: _App) -> None:
        self.app = app

    def __call__(self, environ: _Environ, start_response: Any) -> Iterable[bytes]:
        """Run the application."""
        if OPERATION in environ:  # it is there twice
            return self.app(environ, start_response)
        request = _Request(environ)

        def started(status: str, *more: Any, **named: Any) -> Any:
            request.failed = status.startswith("5")
            return start_response(status, *more, **named)

        try:
            body = request.run(self.app, environ, started)
            if not (isinstance(body, list | tuple) or _is_file(body, environ)):
                return _Body(body, request)
        except BaseException:
            request.leave()
            raise
        request.leave()  # nothing more of the application runs, and servers treat these in their own way
        return body


class _Request:
    """A request, whose operation is open while the application runs and not in between: its thread is the
    server's.
    """

    __slots__ = ("failed", "inside", "method", "operation", "route")

    def __init__(self, environ: _Environ) -> None:
        self.method, self.route = environ.get("REQUEST_METHOD", ""), ""
        self.failed = False
        environ[_CONTEXTS] = self._asking(environ.get("SCRIPT_NAME", ""), environ.get(_CONTEXTS))
        self.operation = environ[OPERATION] = Operation("", still_open(current.get()))
        self.inside: Operation | None = self.operation

    def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function of the application."""
        outside = current.get()
        current.set(self.inside)
        try:
            return function(*arguments)
        except StopIteration:
            raise
        except Exception:
            self.failed = True
            raise
        finally:
            self.inside = current.get()  # which may be one that a generator opened and has not left yet
            current.set(outside)

    def leave(self) -> None:
        """End the operation, once."""
        if not self.operation.over:
            self.operation.name = self.operation.name or request_name(self.method, self.route)
            leave(self.operation, failed=self.failed)

    def _asking(self, root: str, other: Callable[[Any], object] | None) -> Callable[[Any], object]:
        def ask(context: Any) -> None:
            with suppress(Exception):  # not every context is of a request, nor has every request a route
                mount = context.request.environ["SCRIPT_NAME"].removeprefix(root)
                self.route = f"{mount}{context.request.url_rule.rule}"
            if other is not None:
                other(context)

        return ask


class _Body:
    """The parts of a response. Who drops one unread, as test clients do, may not have closed it."""

    __slots__ = ("_body", "_parts", "_request")

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body, self._request = body, request
        self._parts = request.run(iter, body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            part: bytes = self._request.run(next, self._parts)
            return part
        except BaseException:  # the last part, too, ends so
            self._request.leave()
            raise

    def close(self) -> None:
        """Called by the server when it is done."""
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                self._request.run(close)
        finally:
            self._request.leave()

    def __del__(self) -> None:
        self._request.leave()


def _is_file(body: Any, environ: _Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)
