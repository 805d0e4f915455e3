"""What the index search costs: 200 statements over 40 tables. `uv run python tests/bench/search.py`

Prints the seconds, the EXPLAINs and the indexes built, and what was found.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from dbperf.advice.indexes.search import search
from dbperf.advice.subject import Subject, prepare
from dbperf.embedded import start
from dbperf.model.catalog import Catalog
from dbperf.model.index import IndexSpec
from dbperf.model.plan import Plan
from dbperf.model.workload import Statement
from dbperf.plans.catalog import read_catalog
from dbperf.plans.connect import connect
from dbperf.plans.explain import explain
from dbperf.plans.whatif import WhatIfIndex
from dbperf.plans.whatif.build import BuildWhatIf
from dbperf.statements import analyze_statement

TABLES, ROWS = 40, 20_000

_TABLE = """
CREATE TABLE t{0} (id int PRIMARY KEY, parent int, owner int, state text, kind int, at date, note text);
INSERT INTO t{0} SELECT i, i % 2000, i % 700, 'state ' || i % 5, i % 40,
    date '2024-01-01' + i % 900, repeat('x', 80) FROM generate_series(1, {1}) i;
"""

_STATEMENTS = (
    "SELECT * FROM t{0} WHERE owner = $1 AND state = $2 AND kind = $3",
    "SELECT * FROM t{0} WHERE owner = $1 ORDER BY at DESC LIMIT 20",
    "SELECT count(*) FROM t{0} WHERE at >= $1 AND at < $2 AND state = $3",
    "SELECT a.id, b.note FROM t{0} a JOIN t{1} b ON b.parent = a.id WHERE a.owner = $1 AND b.kind = $2",
    "SELECT * FROM t{0} WHERE note = $1 OR upper(state) = $2",
)


class Counting(BuildWhatIf):
    """The build engine, counting."""

    explained = built = 0

    @contextmanager
    def indexes(self, specs: Sequence[IndexSpec]) -> Iterator[tuple[WhatIfIndex, ...]]:
        self.built += len(specs)
        with super().indexes(specs) as made:
            yield made

    def explain(self, sql: str, parameters: Sequence[Any] | None) -> Plan:
        self.explained += 1
        return super().explain(sql, parameters)


def main() -> None:
    with start() as server, connect(server.dsn()) as connection:
        for number in range(TABLES):
            connection.execute(_TABLE.format(number, ROWS))  # type: ignore[arg-type]
        connection.execute("VACUUM ANALYZE")
        catalog = read_catalog(connection)
        begin = time.perf_counter()
        subjects = list(_subjects(connection, catalog))
        prepared = time.perf_counter()
        whatif = Counting(connection, "disposable")
        found = search(subjects, whatif, lambda _share, _what: None)
        searched = time.perf_counter()
    planned = sum(len(each.plans) for each in subjects)
    print(f"{len(subjects)} statements, {TABLES} tables of {ROWS:,} rows")
    print(f"planned as they are  {prepared - begin:6.1f} s {planned:6,} EXPLAINs")
    print(f"searched             {searched - prepared:6.1f} s {whatif.explained:6,} EXPLAINs")
    print(f"indexes              {whatif.built:,} built, {len(found.chosen.indexes):,} chosen")


def _subjects(connection: psycopg.Connection[Any], catalog: Catalog) -> Iterator[Subject]:
    for number in range(TABLES):
        for at, text in enumerate(_STATEMENTS):
            sql = text.format(number, (number + 1) % TABLES)
            statement = Statement(sql, f"{number}-{at}", "postgresql", "")
            facts = analyze_statement(sql)
            yield prepare(statement, facts, catalog, lambda text, values: explain(connection, text, values))


if __name__ == "__main__":
    main()
