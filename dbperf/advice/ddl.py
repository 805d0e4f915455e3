"""An index as people will create it: its name, and how SQLAlchemy's models declare it."""

from __future__ import annotations

import json
from dataclasses import replace

from dbperf.model.catalog import Catalog
from dbperf.model.index import IndexKey, IndexSpec


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


def _collates(key: IndexKey) -> bool:
    return key.opclass.startswith("COLLATE ")
