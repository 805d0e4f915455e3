"""What the columns of a table hold, from a sample of its rows: SQLite keeps no such statistics itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import Any

from dbperf.model.catalog import Distribution
from dbperf.model.index import quoted

ROWS = 2_000
LONGEST = 1_000
"""Characters or bytes of a value that are looked at; a longer one is no value to search for."""
_COMMON, _BOUNDS = 100, 101


def sample(connection: sqlite3.Connection, table: str, columns: Sequence[str], rowid: str) -> list[Any]:
    """At most 2,000 rows, the same ones each time; the first ones of a table without `rowid` (empty).

    At random places, for columns often repeat themselves at even steps.
    """
    values = ", ".join(_shortened(quoted(each)) for each in columns)
    query = f"SELECT {values} FROM {quoted(table)}"  # noqa: S608  names of the catalog, quoted
    if not rowid:
        return connection.execute(f"{query} LIMIT {ROWS}").fetchall()
    low, high = (  # one at a time: only then does SQLite not read the whole table
        connection.execute(f"SELECT {end}({rowid}) FROM {quoted(table)}").fetchone()[0]  # noqa: S608
        for end in ("min", "max")
    )
    if low is None or high - low < ROWS:
        return connection.execute(query).fetchall()
    nearest = f"SELECT {rowid}, {values} FROM {quoted(table)} WHERE {rowid} >= ? ORDER BY {rowid} LIMIT 1"  # noqa: S608
    places = sorted(Random(0).sample(range(low, high + 1), ROWS))  # noqa: S311  no secret
    found = {row[0]: row[1:] for place in places for row in connection.execute(nearest, (place,))}
    return list(found.values())


def _shortened(column: str) -> str:
    start = f"substr({column}, 1, {LONGEST})"
    return f"CASE WHEN typeof({column}) IN ('text', 'blob') THEN {start} ELSE {column} END"


def distribution(values: Sequence[Any], rows: float) -> Distribution | None:
    """What a sample says of a column of `rows` rows; None of an empty one.

    The number of distinct values is the estimator that PostgreSQL uses too (Haas and Stokes, "Estimating
    the Number of Classes in a Finite Population", 1998, Duj1).
    """
    if not values:
        return None
    present = [each for each in values if each is not None]
    null_share = 1 - len(present) / len(values)
    counts = Counter(present)
    usable = [(value, number) for value, number in counts.most_common() if not _is_long(value)]
    once = sorted((value for value, number in usable if number == 1), key=_order)
    return Distribution(
        null_share=null_share,
        distinct=_distinct(counts, rows * (1 - null_share)),
        common=tuple((value, number / len(values)) for value, number in usable if number > 1)[:_COMMON],
        bounds=tuple(once[(len(once) - 1) * place // (_BOUNDS - 1)] for place in range(_BOUNDS) if once),
    )


def _distinct(counts: Counter[Any], rows: float) -> float:
    size, once = counts.total(), sum(number == 1 for number in counts.values())
    return size * len(counts) / (size - once + once * size / max(rows, size)) if size else 0.0


def average_width(values: Sequence[Any]) -> int:
    """Bytes of a value, about; those of which more than 1,000 are there count as 1,000."""
    widths = [len(each) if isinstance(each, str | bytes) else 8 for each in values if each is not None]
    return round(fmean(widths)) if widths else 8


def _is_long(value: Any) -> bool:
    return isinstance(value, str | bytes) and len(value) >= LONGEST


def _order(value: Any) -> tuple[int, Any]:
    """SQLite's: numbers before text before blobs."""
    return (2 if isinstance(value, bytes) else 1 if isinstance(value, str) else 0), value
