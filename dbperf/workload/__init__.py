"""Observations folded into statements; saved and loaded."""

from dbperf.workload.file import load, save
from dbperf.workload.fold import fold, merge

__all__ = ["fold", "load", "merge", "save"]
