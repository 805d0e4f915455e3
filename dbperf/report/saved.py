"""A report read back from the JSON that it was saved as, to be rendered again."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from types import GenericAlias
from typing import Any, Final, get_args, get_origin

from cattrs import BaseConverter, BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn, override

from dbperf.errors import InputError
from dbperf.model.facts import Complexity
from dbperf.model.histogram import Latency, bucket_of
from dbperf.model.recommendation import Level, Severity
from dbperf.model.report import Report, StatementReport
from dbperf.model.runtime import CONNECTIONS, DURATIONS, Figure
from dbperf.model.workload import Statement
from dbperf.report.json import SCHEMA_VERSION

_LARGEST: Final = 2**63 - 1
"""Of a count; what PostgreSQL and SQLite count to."""
_LAST: Final = bucket_of(_LARGEST)
"""The last bucket of a duration."""
_DIGITS: Final = re.compile(r"[0-9]{1,9}")


def parse(text: str | bytes) -> Report:
    """The report that `json.render` wrote; bytes may be in any encoding of Unicode.

    Raises InputError, one line, for what is no JSON, no report, one of a newer dbperf, or where a value
    cannot be. Unknown fields are passed over. Parameters and samples were never saved, and a number that was
    not finite comes back as not a number.
    """
    document = _json(text)
    version = document.get("schema_version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise InputError("JSON, but not a dbperf report: it has no schema_version")
    if version > SCHEMA_VERSION:
        newer = f"schema {str(version)[:20]}, this one reads up to {SCHEMA_VERSION}"
        raise InputError(f"written by a newer dbperf ({newer}): upgrade dbperf")
    try:
        report: Report = _converter().structure(_as_modelled(document), Report)
    except BaseValidationError as error:
        raise InputError(f"not a dbperf report: {_first(error)}") from None
    return report


def _json(text: str | bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise InputError("empty, not a dbperf report") from None
        raise InputError(
            f"not a dbperf report, or not all of one: no JSON from line {error.lineno}"
        ) from None
    except (ValueError, RecursionError):  # no Unicode, a number of 5,000 digits, brackets without end
        raise InputError("not a dbperf report: no JSON") from None


def _as_modelled(document: dict[str, Any]) -> dict[str, Any]:
    """The document in the shape of the model; what stands in the summary follows from the rest, and what
    stands by name in the run-time figures from their counts.
    """
    summary = document.get("summary")
    if not isinstance(summary, dict):
        raise InputError("not a dbperf report: summary: not an object")
    target = dict(summary)
    if "target" in target:
        target["database"] = target.pop("target")
    runtime = document.get("runtime", {})
    if not isinstance(runtime, dict):
        raise InputError("not a dbperf report: runtime: not an object")
    return {
        **document,
        "target": target,
        "applied": summary.get("applied", False),
        "figures": runtime.get("figures", []),
    }


# Where the document has what the model has elsewhere.
_PLACES = {
    "target.database": "summary.target",
    "target.": "summary.",
    "applied": "summary.applied",
    "figures": "runtime.figures",
}


def _first(error: BaseValidationError) -> str:
    """Where the first fault is, and what."""
    what, _, where = transform_error(error, format_exception=_fault)[0].rpartition(" @ $")
    where = where.lstrip(".").replace(".statement.", ".")
    for start, place in _PLACES.items():
        if where.startswith(start):
            where = place + where.removeprefix(start)
            break
    return f"{where}: {what[:200]}"


def _fault(error: BaseException, _kind: type | None) -> str:
    if isinstance(error, KeyError):
        return "missing"
    return str(error) if isinstance(error, ValueError) else "not an object"


@cache
def _converter() -> Converter:
    converter = Converter()
    for kind, hook in ((int, _count), (float, _number), (str, _text), (bool, _truth)):
        converter.register_structure_hook(kind, hook)
    for names in (Severity, Level):  # or the hook of str would take them
        converter.register_structure_hook(names, lambda value, kind: kind(_text(value, str)))
    converter.register_structure_hook_factory(_is_tuple, _array)
    converter.register_structure_hook_func(lambda kind: kind == _NAMED, _named)
    converter.register_structure_hook(Latency, _latency)
    converter.register_structure_hook(Complexity, _complexity)
    converter.register_structure_hook(
        Figure, make_dict_structure_fn(Figure, converter, counts=override(struct_hook=_counts))
    )
    converter.register_structure_hook(
        Statement, make_dict_structure_fn(Statement, converter, samples=override(omit=True))
    )
    nested = make_dict_structure_fn(StatementReport, converter)
    converter.register_structure_hook(
        StatementReport, lambda value, kind: nested({**value, "statement": value}, kind)
    )
    return converter


_NAMED: Final = tuple[str, int]


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _array(kind: Any, converter: BaseConverter) -> Callable[[Any, Any], tuple[Any, ...]]:
    """Of a JSON array alone: a text and an object can be iterated over too."""
    items = GenericAlias(list, get_args(kind)[0])
    structure = converter.get_structure_hook(items)

    def array(value: Any, _kind: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ValueError("not an array")
        return tuple(structure(value, items))

    return array


def _count(value: Any, _kind: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError("not a count")
    return value


def _number(value: Any, _kind: Any) -> float:
    if value is None:
        return math.nan
    if type(value) not in (int, float):
        raise ValueError("not a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _text(value: Any, _kind: Any) -> str:
    if type(value) is not str:
        raise ValueError("not a text")
    return value


def _truth(value: Any, _kind: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("neither true nor false")
    return value


def _named(value: Any, _kind: Any) -> tuple[str, int]:
    if type(value) is not dict or not {"name", "calls"} <= value.keys():
        raise ValueError("not a name and its calls")
    return _text(value["name"], str), _count(value["calls"], int)


def _counts(value: Any, _kind: Any) -> tuple[tuple[str, int], ...]:
    """Of a figure. What a number in a name counts must be a number, and that of a duration a bucket."""
    if type(value) is not dict:
        raise ValueError("not an object")
    for name, count in value.items():
        _count(count, int)
        head, _, tail = name.rpartition(".")
        numbered = head in DURATIONS or head in CONNECTIONS
        if numbered and not (_DIGITS.fullmatch(tail) and (head in CONNECTIONS or int(tail) <= _LAST)):
            raise ValueError(f"{name[:50]!r} counts nothing")
    return Figure.of("", "", "", value).counts


def _complexity(value: Any, _kind: Any) -> Complexity:
    if type(value) is not dict or type(value.get("parts")) is not dict:
        raise ValueError("not a score and its parts")
    parts = {name: _count(count, int) for name, count in value["parts"].items()}
    return Complexity(_count(value.get("score"), int), parts)


def _latency(value: Any, _kind: Any) -> Latency:
    if type(value) is not list:
        raise ValueError("not an array")
    for pair in value:
        if type(pair) is not list or len(pair) != 2 or _count(pair[0], int) > _LAST:
            raise ValueError(f"not pairs of a bucket, up to {_LAST}, and a count")
        _count(pair[1], int)
    return Latency(tuple((bucket, calls) for bucket, calls in value))
