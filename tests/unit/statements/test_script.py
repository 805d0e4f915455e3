from __future__ import annotations

import pytest

from dbperf.statements import split


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" \n -- nothing\n ;;\n", []),
        ("SELECT 1", [("SELECT 1", 1)]),
        ("SELECT 1;\n\nSELECT 2;\n", [("SELECT 1", 1), ("SELECT 2", 3)]),
        (
            "SELECT ';', \";\" /* ; /* ; */ ; */; SELECT 2 -- ;\n",
            [("SELECT ';', \";\"", 1), ("SELECT 2", 1)],
        ),
        ("DO $x$ BEGIN; END; $x$; SELECT E'\\';'", [("DO $x$ BEGIN; END; $x$", 1), ("SELECT E'\\';'", 1)]),
        ("-- first\n/* second */ SELECT 1", [("SELECT 1", 2)]),
        ("\\set id random(1, 10)\nSELECT :id;\n", [("SELECT :id", 2)]),
        ("\\set id \\\n  1\n  \\sleep 1 'us\nSELECT 2;", [("SELECT 2", 4)]),
        ("SELECT 1\n\\gset\n;SELECT 2", [("SELECT 1", 1), ("SELECT 2", 3)]),
        ("SELECT 1,\n\\echo hm\n2", [("SELECT 1,\n2", 1)]),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            [
                ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", 1),
                ("SELECT 3", 1),
            ],
        ),
        ("SELECT 1); SELECT 2", [("SELECT 1)", 1), ("SELECT 2", 1)]),
        ("SELECT 'open; SELECT 2", [("SELECT 'open; SELECT 2", 1)]),
    ],
)
def test_statements_and_their_lines(script: str, expected: list[tuple[str, int]]) -> None:
    assert split(script) == expected
