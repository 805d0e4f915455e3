"""`--since`: a time, as a user gives it."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

_AGO = re.compile(r"(\d+)\s*([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


since_option = click.option(
    "--since", metavar="TIME", help="The part of a store since then: 90m, 24h, 7d or 2026-01-31."
)


def time_of(text: str) -> float:
    """Seconds since 1970 of a time ago (`7d`) or of a date, with or without a time of day, here."""
    if ago := _AGO.fullmatch(text.strip()):
        return max(0.0, time.time() - int(ago[1]) * _SECONDS[ago[2]])
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(f"--since takes 90m, 24h, 7d or 2026-01-31, not {text!r}") from None
