"""What PostgreSQL converts a column for, asked of itself: then no index condition is in the plan."""

from __future__ import annotations

import psycopg
import pytest

from dbperf.advice.rules.implicit_cast import CONVERTED
from dbperf.embedded import Server

_NUMBERS = ["smallint", "integer", "bigint", "numeric", "real", "double precision"]
_TEXTS = ["text", "character varying", "character"]
_TIMES = ["date", "timestamp without time zone", "timestamp with time zone"]


@pytest.mark.parametrize("stored", [*_NUMBERS, *_TEXTS, *_TIMES])
def test_which_types_an_index_serves(stored: str, server: Server, database: str) -> None:
    family = next(each for each in (_NUMBERS, _TEXTS, _TIMES) if stored in each)
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE t (x {stored}); CREATE INDEX ON t (x)".encode())
        connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        for value in family:
            kind = "bpchar" if value == "character" else value
            connection.execute(f"PREPARE asked ({kind}) AS SELECT 1 FROM t WHERE x = $1".encode())
            rows = connection.execute("EXPLAIN EXECUTE asked (NULL)").fetchall()
            connection.execute("DEALLOCATE asked")
            served = any("Index Cond" in line for (line,) in rows)
            assert served is (value not in CONVERTED.get(stored, ())), f"{stored} = {value}"
