"""The route of a request, from what Starlette and FastAPI leave in its scope; neither is imported.

The scope has the innermost route. What that is mounted at, and the prefix its router is included with, are
in the path alone, as it was sent; the values of their parameters are known.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

_PARAMETER = re.compile(r"\{(\w+)\}")
_FORMS = 32
"""Prefixes of one route. One that has more forms has a value in it that is not known for one."""


def path_within(scope: Mapping[str, Any]) -> str:
    """The path that an application is called with, without what a server or a mount took off."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if path.startswith(f"{root}/") else path


class Routes:
    """Finds the route of each request to one application."""

    def __init__(self) -> None:
        self._prefixes: defaultdict[str, set[str]] = defaultdict(set)

    def find(self, scope: Mapping[str, Any], path: str) -> str:
        """The route that was taken, "/api/users/{user_id}", where the application was called with `path`; ""
        where none is known. Never raises.
        """
        try:
            route = scope.get("route") or _by_endpoint(scope["router"].routes, scope["endpoint"])
            own: str = route.path_format
            return self._prefix(own, scope, path) + own
        except Exception:  # noqa: BLE001  another framework, or nothing was found
            return ""

    def _prefix(self, own: str, scope: Mapping[str, Any], path: str) -> str:
        prefix = _prefix(own, scope.get("path_params") or {}, path)
        known = self._prefixes[own]
        if prefix not in known and len(known) >= _FORMS:
            return ""
        known.add(prefix)
        return prefix


def _by_endpoint(routes: Iterable[Any], endpoint: Any) -> Any:
    """The route of an endpoint, or the mount of an application; None where it has none."""
    for each in routes:
        if endpoint is not None and endpoint in (getattr(each, "endpoint", None), getattr(each, "app", None)):
            return each
        if found := _by_endpoint(getattr(each, "routes", None) or (), endpoint):
            return found
    return None


def _prefix(own: str, values: Mapping[str, Any], path: str) -> str:
    """What stands before a route in a path, with names for values; "" where they cannot be told."""
    inner = set(_PARAMETER.findall(own))
    if not inner <= values.keys():
        return ""
    end = _PARAMETER.sub(lambda each: str(values[each[1]]), own)
    if not path.endswith(end):  # a converter read the value: 007 is 7
        return ""
    prefix = path.removesuffix(end)
    for name, value in values.items():  # in the order of the path
        if name not in inner:
            pattern = rf"(?<=/){re.escape(str(value))}(?=/|$)"
            prefix, found = re.subn(pattern, f"{{{name}}}", prefix, count=1)
            if not found:
                return ""
    return prefix
