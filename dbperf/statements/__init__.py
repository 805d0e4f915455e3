"""What a SQL text means: pure functions over sqlglot.

The names are loaded on first use: sqlglot costs more to import than SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbperf.statements.analyze import analyze_statement
    from dbperf.statements.placeholders import Canonical, canonical
    from dbperf.statements.script import split
    from dbperf.statements.templates import Template, template

__all__ = ["Canonical", "Template", "analyze_statement", "canonical", "split", "template"]

_HOME = {
    "Canonical": "placeholders",
    "Template": "templates",
    "analyze_statement": "analyze",
    "canonical": "placeholders",
    "split": "script",
    "template": "templates",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dbperf.statements' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"dbperf.statements.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
