"""Settings: keyword > DBPERF_* in the environment > [tool.dbperf] of the nearest pyproject.toml > default."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

from dbperf.errors import InputError


class Unset(Enum):
    """The type of UNSET: a setting that the caller left to the environment."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
POOLS: Final = ("adaptive", "fifo", "sqlalchemy")
"""What `Settings.pool` may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an engine's instrumentation does; fields left UNSET are resolved when the engine is created."""

    enabled: bool | Unset = UNSET
    """Off: the engine is a plain SQLAlchemy engine."""
    store: str | Unset = UNSET
    """Where what ran is written by itself: a file, or the postgresql:// URL of a store that many share."""
    flush_seconds: float | Unset = UNSET
    """How often that happens, about."""
    capture_parameters: bool | Unset = UNSET
    """Keep a few parameter sets of each statement. Off by default: they are your users' data."""
    max_statements: int | Unset = UNSET
    """Different statements kept; executions of further ones are counted together."""
    overhead_budget_us: float | Unset = UNSET
    """Microseconds that dbperf may take of a statement; above, it leaves out call sites, then more, and says
    so.
    """
    app_prefixes: tuple[str, ...] | Unset = UNSET
    """Path prefixes that are the app's own code even inside site-packages."""
    ignore_prefixes: tuple[str, ...] | Unset = UNSET
    """Path prefixes that are never a call site (the app's own database helpers, say)."""
    pool: str | Unset = UNSET
    """What pool `dbperf.create_engine` gives an engine: "adaptive", dbperf's, as large as pays; "fifo",
    dbperf's with a fixed size; or "sqlalchemy". An engine that is instrumented later keeps its own.
    """
    select: tuple[str, ...] | Unset = UNSET
    """Rules to judge by, codes or their beginnings ("DBP1"); all unless given. For analysis."""
    ignore: tuple[str, ...] | Unset = UNSET
    """Rules to leave out, everywhere ("DBP318") or for some code ("DBP318@shop/reports.py:monthly")."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings with every field decided."""

    enabled: bool = True
    store: str = ""
    flush_seconds: float = 1.0
    capture_parameters: bool = False
    max_statements: int = 5000
    overhead_budget_us: float = 50.0
    app_prefixes: tuple[str, ...] = ()
    ignore_prefixes: tuple[str, ...] = ()
    pool: str = "adaptive"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


_RULES: Final = frozenset({"select", "ignore"})
_CHOICES: Final = {"pool": POOLS}


def resolve(settings: Settings | None = None) -> Resolved:
    """Decide every field, once. Raises InputError naming the source of a value that cannot be used."""
    given = settings or Settings()
    project, where = _project_table()
    known = {each.name for each in fields(Resolved)}
    if unknown := sorted(set(project) - known):
        raise InputError(
            f"{where}: [tool.dbperf] has no setting {unknown[0]!r}; known: {', '.join(sorted(known))}"
        )
    decided: dict[str, Any] = {}
    for each in fields(Resolved):
        variable = f"DBPERF_{each.name.upper()}"
        if (value := getattr(given, each.name)) is not UNSET:
            decided[each.name] = _checked(each.name, value, "Settings")
        elif variable in os.environ:
            decided[each.name] = from_text(each.name, os.environ[variable], variable)
        elif each.name in project:
            decided[each.name] = _checked(each.name, project[each.name], str(where))
    return Resolved(**decided)


def _project_table() -> tuple[Mapping[str, Any], Path | None]:
    try:
        here = Path.cwd()
    except OSError:  # the working directory was removed
        return {}, None
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError:
            continue
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            return {}, path  # somebody else's broken file: their tools will say so
        found = table.get("tool", {}).get("dbperf", {})
        return (found if isinstance(found, dict) else {}), path
    return {}, None


_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError


def _codes(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _paths(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(os.pathsep) if part)


_READERS: dict[type, Callable[[str], object]] = {
    bool: _boolean,
    int: int,
    float: float,
    str: str,
    tuple: _paths,
}
_FORMS = {
    bool: "1 or 0",
    int: "a positive whole number",
    float: "a positive number",
    str: "a file or a URL",
    tuple: "a list of paths",
}


def _form(name: str) -> str:
    if name in _CHOICES:
        *others, last = _CHOICES[name]
        return f"{', '.join(others)} or {last}"
    return "a list of rules" if name in _RULES else _FORMS[type(getattr(Resolved(), name))]


def from_text(name: str, text: str, source: str) -> object:
    """The value of a setting written as text, as in the environment. Raises InputError naming `source`."""
    form = type(getattr(Resolved(), name))
    try:
        return _checked(name, _codes(text) if name in _RULES else _READERS[form](text), source)
    except ValueError:
        raise InputError(f"{source}: {name} takes {_form(name)}, not {text!r}") from None


def _checked(name: str, value: Any, source: str) -> object:
    form = type(getattr(Resolved(), name))
    if form is tuple and isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if form is float and type(value) is int:
        value = float(value)
    if name in _CHOICES and value not in _CHOICES[name]:
        raise InputError(f"{source}: {name} takes {_form(name)}, not {value!r}")
    if type(value) is form and not (form in (int, float) and not 0 < value < math.inf):
        return value
    shown = "" if form is str else f", not {value!r}"  # a store's URL may hold a password
    raise InputError(f"{source}: {name} takes {_form(name)}{shown}")
