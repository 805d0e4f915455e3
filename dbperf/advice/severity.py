"""How much a finding matters: by the share of the captured time that it saves."""

from __future__ import annotations

from dbperf.model.recommendation import Severity

ERROR_SHARE, INFO_SHARE = 0.25, 0.01
"""From the first on a finding is an error, below the second it is info."""


def severity(saved_seconds: float, captured_seconds: float) -> Severity:
    """Of a finding that saves so much; a warning where no time was captured at all."""
    if not captured_seconds:
        return Severity.WARNING
    if saved_seconds >= ERROR_SHARE * captured_seconds:
        return Severity.ERROR
    return Severity.WARNING if saved_seconds >= INFO_SHARE * captured_seconds else Severity.INFO
