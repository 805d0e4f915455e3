"""How much may wait to be written: an application may make up SQL strings and operations without end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dbperf.model.runtime import Figure, Operation, together
from dbperf.model.workload import Seen, Unseen

_STRINGS_KEPT = 20_000
_FIGURES_KEPT = 2_000
OTHER = Figure(Operation.KIND, "other", "")
"""The operations that are too many, as one."""


def bounded(seen: Seen, waiting: Seen) -> Seen:
    """The same, or so much of it as may wait; what is left out is counted.

    Calls of SQL strings that are too many become `folded_calls`, and operations that are, `OTHER`. What was
    `waiting` before stays what it is: a sink may have written it, although that looked as if it had failed.
    """
    kept, excess = seen.observed[:_STRINGS_KEPT], seen.observed[_STRINGS_KEPT:]
    folded = Unseen(
        folded_calls=sum(each.calls for each in excess),
        folded_ns=sum(each.execute_ns + each.fetch_ns for each in excess),
    )
    return Seen(kept, _few(seen.figures, waiting.figures), seen.unseen + folded)


def _few(figures: tuple[Figure, ...], waiting: Collection[Figure]) -> tuple[Figure, ...]:
    if len(figures) <= _FIGURES_KEPT:
        return figures
    known = {each.key for each in waiting} | {OTHER.key}
    stay = [each for each in figures if each.kind != Operation.KIND or each.key in known]
    new = [each for each in figures if each.kind == Operation.KIND and each.key not in known]
    new.sort(key=lambda each: -Operation(each).seconds)
    room = max(0, _FIGURES_KEPT - len(stay))
    return together([*stay, *new[:room], *(replace(OTHER, counts=each.counts) for each in new[room:])])
