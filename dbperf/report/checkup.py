"""A checkup for a person at a terminal, and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from dbperf.model.checkup import Check, Checkup, Status
from dbperf.report.format import plural
from dbperf.report.layout import LABEL, copyable, paragraph
from dbperf.report.words import database_name

SCHEMA_VERSION: Final = 1

# Both colours of a badge are set, so that it reads on a light and on a dark background.
_BADGES = {
    Status.OK: "green",
    Status.INFO: "white on blue",
    Status.WARNING: "black on yellow",
    Status.ERROR: "white on red",
}
_BADGE_CELLS = 9
_LABEL_CELLS = 9


def lines(checkup: Checkup, width: int) -> Iterator[Text]:
    """The checkup in lines at most `width` cells wide, but for statements to copy; the worst first."""
    yield from paragraph(_headline(checkup), width, style="bold")
    yield from paragraph(f"{database_name(checkup.database)} · {checkup.server}", width, style=LABEL)
    ranked = sorted(checkup.checks, key=lambda each: -each.status.rank)
    for check in ranked:
        if check.status is not Status.OK:
            yield Text()
            yield from _problem(check, width)
    fine = [each.found for each in ranked if each.status is Status.OK]
    if fine:
        yield Text()
        yield from paragraph("; ".join(fine), width, Text.assemble(("ok".ljust(_BADGE_CELLS), "green")))


def render_json(checkup: Checkup) -> str:
    """The checkup as a JSON document in ASCII with a final newline.

    `schema_version`, `target` (host/port/name or a file), `server`, `worst`, and `checks[]` in the order
    they were made, each with `name` (stable), `status` (ok, info, warning, error), `found`, `why`,
    `degraded` and `fixes[]` (SQL to run in order; what SQL cannot do starts with `-- `).
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "target": checkup.database,
        "server": checkup.server,
        "worst": checkup.worst,
        "checks": [asdict(each) for each in checkup.checks],
    }
    return json.dumps(document, indent=2) + "\n"


def _headline(checkup: Checkup) -> str:
    found = Counter(each.status for each in checkup.checks)
    words = {Status.ERROR: "error", Status.WARNING: "warning", Status.INFO: "note"}
    told = [plural(found[status], word) for status, word in words.items() if found[status]]
    return ", ".join(told) if told else f"All {plural(len(checkup.checks), 'check')} passed"


def _problem(check: Check, width: int) -> Iterator[Text]:
    badge = Text.assemble((check.status.value, _BADGES[check.status]))
    badge.append(" " * (_BADGE_CELLS - cell_len(check.status.value)))
    yield from paragraph(check.found, width, badge, "bold")
    for label, text in (("why", check.why), ("affected", check.degraded)):
        if text:
            prefix = Text.assemble(" " * _BADGE_CELLS, (label.ljust(_LABEL_CELLS), LABEL))
            yield from paragraph(text, width, prefix)
    for fix in check.fixes:
        yield from copyable(fix, _BADGE_CELLS)
