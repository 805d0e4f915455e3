"""host/port/name, without a user or a password in any form of URL."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import make_url

from dbperf.capture import database_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://app:secret@db.example:6432/shop", "db.example/6432/shop"),
        ("postgresql+asyncpg://app:secret@db.example/shop", "db.example/5432/shop"),
        ("postgresql://app@/shop", "localhost/5432/shop"),
        ("postgresql://app:secret@/shop?host=/run/postgresql", "/run/postgresql/5432/shop"),
        ("postgresql://app:secret@/shop?host=/run/postgresql&port=5433", "/run/postgresql/5433/shop"),
        ("postgresql://app:secret@/shop?host=a:5433&host=b:5434", "a,b/5433/shop"),
        ("postgresql://app@/?host=a&dbname=shop&password=secret", "a/5432/shop"),
        ("postgresql://app:secret@[::1]/shop", "::1/5432/shop"),
        ("postgresql://app:secret@/shop?host=::1", "::1/5432/shop"),
        ("postgresql://", "localhost/5432/"),
        ("mysql+pymysql://app:secret@db/shop", "db/3306/shop"),
        ("sqlite://", ":memory:"),
        ("sqlite+aiosqlite:///:memory:", ":memory:"),
        ("sqlite:////var/lib/shop.db", "/var/lib/shop.db"),
        ("sqlite:///shop.db", os.path.abspath("shop.db")),
        ("sqlite:///file:shop.db?mode=ro&uri=true", "file:shop.db"),
    ],
)
def test_database_of(url: str, expected: str) -> None:
    assert database_of(make_url(url)) == expected
