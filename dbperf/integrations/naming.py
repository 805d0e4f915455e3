"""What a request is called: its method and its route, "GET /users/{user_id}", never its path.

A path has values in it: a name for each of them would be one for each user.
"""

from __future__ import annotations

OPERATION = "dbperf.operation"
"""Where an application finds the operation of a request: a key of the ASGI scope and of the WSGI environ."""

WEBSOCKET = "WS"
_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", WEBSOCKET)
)


def request_name(method: str, route: str) -> str:
    """The name of a request. A client may make up a method: those that HTTP does not know are "HTTP"."""
    return f"{method if method in _METHODS else 'HTTP'} {route or '(no route)'}"
