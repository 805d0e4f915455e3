"""The hot path: what ran, how long, from which line."""

from dbperf.capture.database import database_of
from dbperf.capture.observer import Capture

__all__ = ["Capture", "database_of"]
