"""Names and declarations of a proposed index."""

from __future__ import annotations

from dbperf.advice.ddl import free_name, model_code
from dbperf.model.catalog import Catalog, Index, Table
from dbperf.model.index import IndexKey, IndexSpec


def catalog(*tables: Table) -> Catalog:
    return Catalog({each.qualified: each for each in tables}, ("public",), "18.4", 180004, "host/5432/x")


def table(schema: str, *indexes: str) -> Table:
    return Table(schema, "t", "r", 1, 1, 1, indexes=tuple(Index(name, ("a",)) for name in indexes))


def test_a_name_that_is_taken_in_the_schema_gets_a_number() -> None:
    spec = IndexSpec("public", "t", (IndexKey("a"),))

    assert free_name(spec, catalog(table("public"), table("other", "ix_t_a"))) == "ix_t_a"
    assert free_name(spec, catalog(table("public", "ix_t_a", "ix_t_a_2"))) == "ix_t_a_3"


def test_a_long_name_stays_within_63_bytes() -> None:
    spec = IndexSpec("public", "é" * 31, (IndexKey("ä" * 31),))
    taken = catalog(table("public", spec.name))

    assert free_name(spec, taken) != spec.name
    assert len(free_name(spec, taken).encode()) <= 63


def test_code_of_a_model() -> None:
    keys = (IndexKey("a"), IndexKey("b", True), IndexKey("c d", opclass="text_pattern_ops"))
    spec = IndexSpec("public", "t", keys)

    assert model_code(spec, "ix") == (
        'Index("ix", "a", text("b DESC"), "c d", postgresql_ops={"c d": "text_pattern_ops"})'
        " in __table_args__ of the model of t"
    )
    assert model_code(IndexSpec("s", "t", (IndexKey('a"b', True),)), "ix").startswith(
        r'Index("ix", text("\"a\"\"b\" DESC"))'
    )
