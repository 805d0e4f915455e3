"""Numbers and names, as checks say them."""

from __future__ import annotations

from collections.abc import Sequence

FIRST = 5


def counted(number: int, noun: str) -> str:
    """ "1 table", "2,000 tables"."""
    ending = "" if number == 1 else "es" if noun.endswith("x") else "s"
    return f"{number:,} {noun}{ending}"


def listed(names: Sequence[str]) -> str:
    """The first five of the names, and how many more there are."""
    more = f" and {len(names) - FIRST:,} more" if len(names) > FIRST else ""
    return ", ".join(names[:FIRST]) + more
