"""Parameter values as text and back: JSON with a tag for each type that JSON does not have."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

# Type, tag, to JSON, from JSON; looked up by the exact type, so a datetime is not taken for a date.
_TAGGED: tuple[tuple[type, str, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (Decimal, "decimal", str, Decimal),
    (bytes, "bytes", bytes.hex, bytes.fromhex),
    (datetime, "datetime", datetime.isoformat, datetime.fromisoformat),
    (date, "date", date.isoformat, date.fromisoformat),
    (time, "time", time.isoformat, time.fromisoformat),
    (timedelta, "timedelta", lambda d: [d.days, d.seconds, d.microseconds], lambda d: timedelta(*d)),
    (UUID, "uuid", str, UUID),
    (tuple, "tuple", lambda values: [_to_json(each) for each in values], lambda v: tuple(map(_from_json, v))),
)
_WRITERS = {kind: (tag, write) for kind, tag, write, _ in _TAGGED}
_READERS = {tag: read for _, tag, _, read in _TAGGED}


def dumps(parameters: tuple[Any, ...]) -> str:
    """Parameters as text. Raises TypeError for a value of a type that capture does not keep."""
    return json.dumps([_to_json(each) for each in parameters])


def loads(text: str) -> tuple[Any, ...]:
    """The parameters `dumps` wrote. Raises ValueError for anything else."""
    try:
        values = json.loads(text)
        return tuple(_from_json(each) for each in values)
    except (ArithmeticError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _to_json(value: Any) -> Any:
    if type(value) is list:
        return [_to_json(each) for each in value]
    if type(value) in _WRITERS:
        tag, write = _WRITERS[type(value)]
        return {tag: write(value)}
    return value


def _from_json(value: Any) -> Any:
    if type(value) is list:
        return [_from_json(each) for each in value]
    if type(value) is dict:
        ((tag, content),) = value.items()
        return _READERS[tag](content)
    return value
