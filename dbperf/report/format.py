"""Numbers and places as people read them; the same in every renderer that is read by people."""

from __future__ import annotations

import math
import os
from pathlib import Path

from dbperf.model.workload import CallSite

_DURATIONS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))
_MINUS = "\N{MINUS SIGN}"
_SAME = 1.05
"""Two measurements closer than this are told as equal: less is noise on any shared machine."""


def duration(seconds: float) -> str:
    """Seconds with three digits in the unit that fits: `41.2 s`, `1,234 s`, `120 µs`, `850 ns`."""
    if not math.isfinite(seconds):
        return "unknown"
    rounded = float(f"{seconds:.2e}")  # first, so that 999.6 µs becomes 1.00 ms and not 1000 µs
    if rounded == 0:
        return "0 s"
    for factor, unit in _DURATIONS:
        if abs(rounded) >= factor:
            return f"{_three_digits(seconds / factor)} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def size(octets: int) -> str:
    """Bytes with three digits: `512 bytes`, `32.1 MB`; 1 kB is 1,024 bytes, as in PostgreSQL."""
    for factor, unit in _SIZES:
        if abs(octets) >= factor:
            return f"{_three_digits(octets / factor)} {unit}"
    return plural(octets, "byte")


def cost(units: float) -> str:
    """Planner units, with three digits below 100: `24,310`, `8.44`. Not a time."""
    return f"{units:,.0f}" if abs(units) >= 100 or not math.isfinite(units) else _three_digits(units)


def factor(before: float, after: float) -> str:
    """How much faster `after` is: `286x faster`, `1.3x slower`, `no difference`; "" where one is zero."""
    if not (before > 0 and after > 0 and math.isfinite(before) and math.isfinite(after)):
        return ""
    ratio = max(before / after, after / before)
    if ratio < _SAME:
        return "no difference"
    digits = f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 1.1 else f"{ratio:.2f}"
    return f"{digits}x {'faster' if before > after else 'slower'}"


def percent_change(before: float, after: float) -> str:
    """What became of a figure, in percent with its sign; "" of a figure that is not above zero."""
    if not (0 < before < math.inf and 0 <= after < math.inf):
        return ""
    saved = 1 - after / before
    if saved < 0:
        return f"+{-saved:,.0%}"
    # All but everything is never told as 100 %.
    return _MINUS + (f"{saved:.0%}" if saved < 0.99 or not after else f"{min(saved, 0.999):.1%}")


def plural(number: int, noun: str) -> str:
    """The number with its noun: `1 call`, `1,200 calls`, `3 missing indexes`, `2 queries`."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith(("x", "s")):
        return f"{number:,} {noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}s"


def place(site: CallSite) -> str:
    """`file:line` of a call site; the path is relative to the working directory where it lies below it, and
    that of a library to where it is installed.
    """
    return f"{_near(site.file)}:{site.line}"


def _near(file: str) -> str:
    _, installed, inner = file.rpartition(f"{os.sep}site-packages{os.sep}")
    if installed:
        return inner
    try:
        here = Path.cwd()
    except OSError:  # the working directory was removed
        return file
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _three_digits(number: float) -> str:
    for digits, below in ((2, 9.995), (1, 99.95)):
        if abs(number) < below:
            return f"{number:.{digits}f}"
    return f"{number:,.0f}"
