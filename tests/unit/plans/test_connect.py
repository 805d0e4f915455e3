from __future__ import annotations

import pytest

from dbperf.errors import InputError
from dbperf.plans.connect import parse_target


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("host=h dbname=d user=u", {"host": "h", "dbname": "d", "user": "u"}),
        (
            "postgresql://u:p%40@h:6543/d?sslmode=require",
            {"host": "h", "port": "6543", "dbname": "d", "user": "u", "password": "p@", "sslmode": "require"},
        ),
        (
            "postgresql+asyncpg://h/d?ssl=require&prepared_statement_cache_size=5",
            {"host": "h", "dbname": "d", "sslmode": "require"},
        ),
        ("postgresql+psycopg2:///d?host=/run/pg", {"host": "/run/pg", "dbname": "d"}),
        ("postgres://h/d", {"host": "h", "dbname": "d"}),
        ("postgresql://a,b/d", {"host": "a,b", "dbname": "d"}),
    ],
)
def test_every_form_of_an_address(text: str, parsed: dict[str, str]) -> None:
    assert parse_target(text) == parsed


@pytest.mark.parametrize("text", ["", "staging", "postgresql://u:secret@h:port/d", "mysql://u:secret@h/d"])
def test_no_address(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_target(text)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
