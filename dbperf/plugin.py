"""`?plugin=dbperf` in a URL, or `plugins=["dbperf"]`: an engine that measures, with no import of dbperf."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.engine import CreateEnginePlugin

from dbperf.engine import instrument
from dbperf.errors import InputError
from dbperf.settings import UNSET, Settings, from_text

_PREFIX = "dbperf_"


class DbperfPlugin(CreateEnginePlugin):
    """Instruments the engine SQLAlchemy is creating.

    Settings come from a `dbperf=Settings(...)` keyword, then from the URL (`&dbperf_capture_parameters=1`).
    Raises InputError for a setting that does not exist or cannot be used.
    """

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        self._settings: Settings | None = kwargs.pop("dbperf", None)

    def update_url(self, url: URL) -> URL:
        """The URL without what is ours: a driver would refuse a keyword it does not know."""
        ours = [key for key in url.query if key.startswith(_PREFIX)]
        if ours:
            self._settings = _with_url(self._settings or Settings(), url)
        return url.difference_update_query(ours)

    def engine_created(self, engine: Engine) -> None:
        """Called by SQLAlchemy once the engine is whole."""
        instrument(engine, self._settings)


def _with_url(settings: Settings, url: URL) -> Settings:
    known = {each.name for each in fields(Settings)}
    for key, values in url.normalized_query.items():
        if not key.startswith(_PREFIX):
            continue
        name = key.removeprefix(_PREFIX)
        if name not in known:
            raise InputError(f"URL: dbperf has no setting {name!r}; known: {', '.join(sorted(known))}")
        value = from_text(name, values[-1], "URL")
        if getattr(settings, name) is UNSET:
            settings = replace(settings, **{name: value})  # type: ignore[arg-type]  # checked by from_text
    return settings
