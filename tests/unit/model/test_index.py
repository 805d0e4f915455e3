from __future__ import annotations

import pytest

from dbperf.model.index import IndexKey, IndexSpec, quoted


def spec(*columns: str, table: str = "t") -> IndexSpec:
    return IndexSpec("public", table, tuple(map(IndexKey, columns)))


@pytest.mark.parametrize(
    ("name", "sql"),
    [("orders", "orders"), ("Order", '"Order"'), ("user", '"user"'), ('a"b', '"a""b"'), ("x y", '"x y"')],
)
def test_names_are_quoted_where_they_must_be(name: str, sql: str) -> None:
    assert quoted(name) == sql


def test_ddl() -> None:
    keys = (
        IndexKey("a"),
        IndexKey("b", descending=True, nulls_first=False),
        IndexKey("c", opclass="text_pattern_ops"),
    )
    index = IndexSpec("public", "Order", keys)
    assert index.ddl(concurrently=True) == (
        'CREATE INDEX CONCURRENTLY "ix_Order_a_b_c_text_pattern_ops" ON public."Order" '
        "(a, b DESC NULLS LAST, c text_pattern_ops)"
    )


def test_a_long_name_is_cut_and_stays_distinct() -> None:
    one, other = spec("a" * 60, "b"), spec("a" * 60, "c")
    assert len(one.name.encode()) <= 63
    assert one.name != other.name
    assert len(spec("ä" * 40).name.encode()) <= 63


def test_covers_is_about_leading_keys() -> None:
    assert spec("a", "b").covers(spec("a"))
    assert spec("a").covers(spec("a"))
    assert not spec("a", "b").covers(spec("b"))
    assert not spec("a", "b", table="u").covers(spec("a"))
