"""A checkup on the terminal and as JSON."""

from __future__ import annotations

import json

import pytest
from rich.cells import cell_len

from dbperf.model.checkup import Check, Checkup, Status
from dbperf.report.checkup import lines, render_json

FIX = (
    'ANALYZE "Sales Dept"."Order", public.a_table_with_a_name_that_is_long_enough_to_break_a_line, public.x;'
)
SICK = Checkup(
    "db.example.com/5432/shop",
    "PostgreSQL 18.4",
    (
        Check("server-version", Status.OK, "PostgreSQL 18.4"),
        Check("track-io-timing", Status.INFO, "track_io_timing is off", "no disk times"),
        Check(
            "tables-analyzed", Status.WARNING, "2 tables never analyzed", "it guesses", "plans", (FIX, "b;")
        ),
        Check("recovery", Status.OK, "a primary, writable"),
    ),
)


def shown(checkup: Checkup, width: int = 80) -> list[str]:
    return [line.plain.rstrip() for line in lines(checkup, width)]


def test_the_worst_comes_first_and_what_is_well_is_short() -> None:
    assert shown(SICK) == [
        "1 warning, 1 note",
        "shop (db.example.com, port 5432) · PostgreSQL 18.4",
        "",
        "warning  2 tables never analyzed",
        "         why      it guesses",
        "         affected plans",
        f"         {FIX}",
        "         b;",
        "",
        "info     track_io_timing is off",
        "         why      no disk times",
        "",
        "ok       PostgreSQL 18.4; a primary, writable",
    ]


def test_all_is_well() -> None:
    well = Checkup("app.db", "SQLite 3.40.1", SICK.checks[:1])
    assert shown(well)[0] == "All 1 check passed"
    assert well.worst is Status.OK


@pytest.mark.parametrize("width", [60, 80, 120])
def test_only_statements_are_wider_than_the_terminal(width: int) -> None:
    for line in shown(SICK, width):
        assert cell_len(line) <= width or line.endswith(FIX)


def test_names_of_the_database_are_shown_as_they_are_and_harmless() -> None:
    hostile = Check("x", Status.WARNING, "table [bold]\x1b[31m\u202e", fixes=("ANALYZE \x1b[2J;",))
    text = "\n".join(shown(Checkup("d", "s", (hostile,))))
    assert "[bold]" in text
    assert not any(character in text for character in "\x1b\u202e")


def test_json() -> None:
    document = json.loads(render_json(SICK))
    assert (document["schema_version"], document["worst"]) == (1, "warning")
    assert document["target"] == "db.example.com/5432/shop"
    assert [each["name"] for each in document["checks"]] == [each.name for each in SICK.checks]
    assert document["checks"][2] == {
        "name": "tables-analyzed",
        "status": "warning",
        "found": "2 tables never analyzed",
        "why": "it guesses",
        "degraded": "plans",
        "fixes": [FIX, "b;"],
    }
