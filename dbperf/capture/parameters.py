"""A few parameter sets of each statement, where the settings allow keeping them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from dbperf.model.workload import PARAMETER_SETS_KEPT, spread

KEPT = PARAMETER_SETS_KEPT
_BYTES = 4096
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, Decimal, date, datetime, time, timedelta, UUID})

# Not the module's functions: an application that seeds `random` must draw the same numbers with us.
_random = random.Random()  # noqa: S311


class _NotPlainError(Exception):
    """The parameters hold something that cannot be kept, or too much."""


def keep(samples: list[Any], nth: int, parameters: Any) -> None:
    """Offer the parameters of the nth execution (from 1): the first stays, the others share 7 places.

    Reservoir sampling (Vitter, "Random Sampling with a Reservoir", 1985, algorithm R), so the places are
    spread evenly over all executions. A set that holds another type than PEP 249's plain ones and lists
    of them, or more than 4 KB, is not kept.
    """
    place = len(samples)
    if place == KEPT:
        place = 1 + int(_random.random() * (nth - 1))
        if place >= KEPT:
            return
    try:
        copy = _copied(parameters)
    except _NotPlainError:
        return
    samples[place : place + 1] = [copy]


def together(mine: Sequence[Any], my_calls: int, others: Sequence[Any], their_calls: int) -> list[Any]:
    """The samples of two threads as one: at most 8, my first among them, the places shared out by calls."""
    share = round(KEPT * my_calls / max(1, my_calls + their_calls))
    chosen = spread(mine, max(1, share, KEPT - len(others)))
    return [*chosen, *spread(others, KEPT - len(chosen))]


def _copied(parameters: Any) -> Any:
    left = [_BYTES]
    if isinstance(parameters, Mapping):
        return {name: _copy(value, left) for name, value in parameters.items()}
    return tuple(_copy(value, left) for value in parameters)


def _copy(value: Any, left: list[int]) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_copy(each, left) for each in value)
    left[0] -= 8 + len(value) if kind is str or kind is bytes else 8
    if kind not in _PLAIN or left[0] < 0:
        raise _NotPlainError
    return value
