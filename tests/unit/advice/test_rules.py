from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from dbperf.advice import rules
from dbperf.advice.rules import RULES, page


def test_every_rule_is_listed_once_by_code() -> None:
    files = {file.stem for file in Path(rules.__path__[0]).glob("*.py")} - {"__init__"}
    assert {rule.__name__.rpartition(".")[2] for rule in RULES} == files
    codes = [rule.CODE for rule in RULES]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_a_rule_has_a_page(rule: ModuleType) -> None:
    assert rule.__doc__
    assert rule.__doc__.startswith(f"{rule.CODE} {rule.SLUG}: ")
    assert re.fullmatch(r"DBP[1-9]\d\d", rule.CODE)
    summary, text = page(rule)
    assert summary.endswith(".")
    assert text.count("\n\n") >= 2
