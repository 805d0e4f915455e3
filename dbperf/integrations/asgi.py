"""ASGI: every request is an operation, named by its route. Starlette and FastAPI tell the route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from dbperf.capture.scope import Operation
from dbperf.capture.track import enter, leave
from dbperf.integrations.naming import OPERATION, WEBSOCKET, request_name
from dbperf.integrations.starlette import Routes, path_within

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class DbperfMiddleware:
    """`app.add_middleware(DbperfMiddleware)`, or around any ASGI application: `app = DbperfMiddleware(app)`.

    An operation lasts from the call of the application to its end: a streamed response and background tasks
    of Starlette are part of it. An exception or a status from 500 on is its error. Each message of a
    WebSocket is an operation "WS /route", connecting is one, and so is what comes after the last message:
    one that lasted as long as the connection would make a loop of everything.

    `scope["dbperf.operation"]` is the operation: for markers, and for its name, which, where the application
    gives one, is kept.
    """

    def __init__(self, app: _App) -> None:
        self.app = app
        self._routes = Routes()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Run the application."""
        if OPERATION in scope:  # it is there twice, as around an application and one that is mounted in it
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connection(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        path, failed = path_within(scope), False

        async def watched(message: _Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start":
                failed = message["status"] >= 500
            await send(message)

        operation = scope[OPERATION] = enter("")
        try:
            await self.app(scope, receive, watched)
        except Exception:
            failed = True
            raise
        finally:
            self._leave(operation, scope.get("method", ""), scope, path, failed=failed)

    async def _connection(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        path, connecting, failed = path_within(scope), True, False

        async def received() -> _Message:
            nonlocal connecting
            if connecting:  # the first message is that somebody does
                connecting = False
                return await receive()
            self._leave(scope[OPERATION], WEBSOCKET, scope, path, failed=False)
            try:
                return await receive()
            finally:
                scope[OPERATION] = enter("")

        scope[OPERATION] = enter("")
        try:
            await self.app(scope, received, send)
        except Exception:
            failed = True
            raise
        finally:
            self._leave(scope[OPERATION], WEBSOCKET, scope, path, failed=failed)

    def _leave(self, operation: Operation, method: str, scope: _Scope, path: str, *, failed: bool) -> None:
        operation.name = operation.name or request_name(method, self._routes.find(scope, path))
        leave(operation, failed=failed)
