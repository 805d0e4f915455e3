"""An index as people will create it: its name, and how SQLAlchemy's models declare it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from dbperf.advice.reading import Reading
from dbperf.model.catalog import Catalog
from dbperf.model.facts import TableRef
from dbperf.model.index import IndexKey, IndexSpec, quoted
from dbperf.statements.tokens import is_postgres


def free_name(spec: IndexSpec, catalog: Catalog) -> str:
    """A name that nothing in the schema has yet, of at most 63 bytes."""
    taken = {
        name
        for table in catalog.tables.values()
        if table.schema == spec.schema
        for name in (table.name, *(index.name for index in table.indexes))
    }
    short = spec.name.encode()[:60].decode(errors="ignore")
    names = (spec.name, *(f"{short}_{number}" for number in range(2, 100)))
    return next((name for name in names if name not in taken), spec.name)


def model_code(spec: IndexSpec, name: str) -> str:
    """The index as SQLAlchemy's models declare it."""
    parts = [json.dumps(name, ensure_ascii=False)]
    for key in spec.keys:
        bare = key if _collates(key) else replace(key, opclass="")
        text = json.dumps(key.column if bare == IndexKey(key.column) else bare.sql(), ensure_ascii=False)
        parts.append(text if bare == IndexKey(key.column) else f"text({text})")
    if operators := {key.column: key.opclass for key in spec.keys if key.opclass and not _collates(key)}:
        parts.append(f"postgresql_ops={json.dumps(operators, ensure_ascii=False)}")
    return f"Index({', '.join(parts)}) in __table_args__ of the model of {spec.table}"


def expression_name(ref: TableRef, text: str) -> str:
    """A name for an index on an expression: ix_users_lower_email."""
    return "_".join(["ix", ref.name, *re.findall(r"\w+", text.lower())])[:63]


def expression_index(reading: Reading, ref: TableRef, text: str, opclass: str = "", method: str = "") -> str:
    """The CREATE INDEX statement for an expression, or a column that is no plain key."""
    table = reading.table(ref)
    blocking = (table and table.kind == "p") or not is_postgres(reading.statement.dialect)
    kind = "CREATE INDEX" if blocking else "CREATE INDEX CONCURRENTLY"
    on = f"{quoted(ref.schema)}.{quoted(ref.name)}" if ref.schema else quoted(ref.name)
    key = text if re.fullmatch(r"\w+(\([^()]*\))?", text) else f"({text})"
    using, rest = f" USING {method}" if method else "", f" {opclass}" if opclass else ""
    name = expression_name(ref, f"{text} {method or opclass}")
    return f"{kind} {quoted(name)} ON {on}{using} ({key}{rest});"


def _collates(key: IndexKey) -> bool:
    return key.opclass.startswith("COLLATE ")
