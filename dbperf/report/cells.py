"""Numbers in the tables of the HTML page: as they are read, and as they are sorted by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dbperf.report.format import duration


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a row: as it is read, and as it is sorted by ("" if there is none)."""

    label: str
    text: str
    value: str


def seconds(label: str, number: float | None) -> Cell:
    """A time, `-` where it is not known."""
    return Cell(label, "-" if number is None else duration(number), sortable(number))


def count(label: str, number: int) -> Cell:
    """How many."""
    return Cell(label, f"{number:,}", str(number))


def sortable(number: float | None) -> str:
    """A number for the script of the page, with four digits."""
    return "" if number is None or not math.isfinite(number) else f"{number:.4g}"
