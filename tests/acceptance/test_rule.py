"""`dbperf rule`: the pages of the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dbperf.advice.rules import RULES

if TYPE_CHECKING:
    from tests.acceptance.conftest import CommandLine


def test_the_list_has_every_rule(dbperf: CommandLine) -> None:
    done = dbperf("rule")
    assert (done.returncode, done.stderr) == (0, "")
    for rule in RULES:
        assert f"{rule.CODE}  {rule.SLUG}" in done.stdout
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["DBP101", "dbp101", "missing-index", "Missing-Index"])
def test_a_page_by_its_code_or_its_name(dbperf: CommandLine, name: str) -> None:
    done = dbperf("rule", name)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "DBP101 missing-index",
        "",
        "A statement reads far more of a table than it needs, and an index would spare that.",
    ]
    assert any(line.startswith("Why it matters. ") for line in lines), "rendered, not as it is written"
    assert "**" not in done.stdout
    assert all(len(line) <= 120 for line in lines)


def test_the_page_of_all_rules_in_the_documentation_is_what_the_command_prints(dbperf: CommandLine) -> None:
    done = dbperf("rule", "--format", "markdown")
    assert (done.returncode, done.stderr) == (0, "")
    page = Path(__file__).parents[2] / "docs" / "rules" / "README.md"
    assert page.read_text("utf-8") == done.stdout, "dbperf rule --format markdown > docs/rules/README.md"
    assert done.stdout.count("\n## ") == len(RULES)
    one = dbperf("rule", "DBP101", "--format", "markdown").stdout
    assert one.startswith("## DBP101 missing-index\n")
    assert one in done.stdout


def test_pages_as_json(dbperf: CommandLine) -> None:
    listed = json.loads(dbperf("rule", "--format", "json").stdout)
    assert [each["code"] for each in listed] == [rule.CODE for rule in RULES]
    one = json.loads(dbperf("rule", "dbp101", "--format", "json").stdout)
    assert one == listed[0]
    assert set(one) == {"code", "slug", "summary", "page"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("DBP109", "there is no rule 'DBP109'; near it: DBP"),
        ("missing-indices", "there is no rule 'missing-indices'; near it: DBP101 missing-index"),
        ("x\x1b[31my", r"there is no rule 'x\x1b[31my'; dbperf rule lists them"),
    ],
)
def test_an_unknown_rule(dbperf: CommandLine, name: str, says: str) -> None:
    assert dbperf.refused("rule", name).startswith(f"dbperf: {says}")
