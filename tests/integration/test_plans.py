"""EXPLAIN, catalog and what-if on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dbperf.embedded import Server
from dbperf.errors import StatementError, UnsafeError
from dbperf.model.index import IndexKey, IndexSpec
from dbperf.plans.catalog import read_catalog
from dbperf.plans.connect import Connection, connect
from dbperf.plans.explain import explain, read_only, run
from dbperf.plans.whatif.build import BuildWhatIf

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL, s text, d date);
INSERT INTO t SELECT i, i % 1000, 'x' || i % 7, date '2024-01-01' + i % 300 FROM generate_series(1, 50000) i;
CREATE INDEX t_lower ON t (lower(s));
CREATE INDEX t_partial ON t (d DESC, s) INCLUDE (u) WHERE u > 5;
CREATE TABLE child (id int, t_id int REFERENCES t (id));
CREATE SEQUENCE numbers;
CREATE SCHEMA other;
CREATE TABLE other.t (x int);
ANALYZE;
"""
ON_U = IndexSpec("public", "t", (IndexKey("u"),))


@pytest.fixture
def connection(server: Server, database: str) -> Iterator[Connection]:
    with connect(server.dsn(database)) as opened:
        opened.execute(SCHEMA)
        yield opened


def indexes(connection: Connection) -> set[str]:
    return {
        row[0] for row in connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    }


def test_values_decide_the_plan(connection: Connection) -> None:
    few = explain(connection, "SELECT * FROM t WHERE id < $1", [10])
    most = explain(connection, "SELECT * FROM t WHERE id < $1", [49_000])
    assert few.indexes == {"t_pkey"}
    assert most.scan_of("t") == "Seq Scan on t"
    assert few.cost < most.cost


def test_a_generic_plan_needs_no_values(connection: Connection) -> None:
    for _ in range(3):  # nothing is left behind that the next would meet
        plan = explain(connection, "SELECT * FROM t WHERE u = $1 AND s LIKE $2 LIMIT $3", None)
        assert plan.generic
    assert explain(connection, "SELECT 1", None).generic
    assert connection.execute(
        "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'dbperf%'"
    ).fetchone() == (0,)


def test_a_generic_plan_that_fails_leaves_no_trace(connection: Connection) -> None:
    with pytest.raises(StatementError, match="no such table"):
        explain(connection, "SELECT * FROM nowhere WHERE a = $1", None)
    assert explain(connection, "SELECT * FROM t WHERE u = $1", None).generic


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1; SELECT 2", "two statements where one is due"),
        ("SELECT 1; COMMIT; INSERT INTO t VALUES (0, 0)", "two statements where one is due"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "no such table"),
        ("SELECT nothing FROM t", "no such column"),
        ("SELECT * FROM t WHERE u = 'secret'", "a parameter value does not fit"),
    ],
)
def test_what_is_refused_says_why(connection: Connection, sql: str, reason: str) -> None:
    with pytest.raises(StatementError, match=reason) as caught:
        explain(connection, sql, [])
    assert "secret" not in str(caught.value)
    assert connection.execute("SELECT count(*) FROM t WHERE id = 0").fetchone() == (0,)


def test_explaining_a_write_writes_nothing(connection: Connection) -> None:
    plan = explain(connection, "UPDATE t SET s = $1 WHERE id = $2", ["gone", 1])
    assert plan.root.kind == "ModifyTable"
    assert connection.execute("SELECT s FROM t WHERE id = 1").fetchone() == ("x1",)


def test_the_transaction_is_read_only_and_comes_back_writable(connection: Connection) -> None:
    with connection.transaction():
        with pytest.raises(StatementError, match="it writes"), read_only(connection) as cursor:
            run(cursor, "SELECT nextval('numbers')")
        connection.execute("INSERT INTO t VALUES (0, 0)")
    assert connection.execute("SELECT count(*) FROM t WHERE id = 0").fetchone() == (1,)


def test_no_permission_is_a_reason(server: Server, database: str, connection: Connection) -> None:
    connection.execute(f"CREATE ROLE guest_{database} LOGIN")
    try:
        with connect(psycopg.conninfo.make_conninfo(server.dsn(database), user=f"guest_{database}")) as guest:
            with pytest.raises(StatementError, match="no permission: permission denied for table t"):
                explain(guest, "SELECT * FROM t", [])
            assert not read_catalog(guest).tables["public.t"].readable
    finally:
        connection.execute(f"DROP ROLE guest_{database}")


def test_catalog(connection: Connection) -> None:
    catalog = read_catalog(connection)
    table = catalog.find("", "t")
    assert table is not None
    assert table.qualified == "public.t"
    assert table.rows == 50_000
    assert table.pages * 8192 == table.size_bytes > 0
    assert catalog.find("other", "t") is catalog.tables["other.t"]
    assert catalog.find("", "nowhere") is None
    found = {index.name: index for index in table.indexes}
    assert found["t_pkey"].constraint == "t_pkey"
    assert found["t_pkey"].plain
    assert found["t_lower"].keys == ("lower(s)",)
    assert not found["t_lower"].plain
    assert (found["t_partial"].keys, found["t_partial"].include) == (("d", "s"), ("u",))
    assert found["t_partial"].descending == (True, False)
    assert found["t_partial"].predicate == "(u > 5)"
    assert catalog.tables["public.child"].foreign_keys[0].target == "public.t"
    column = table.columns["s"]
    assert column.type == "text"
    assert column.distribution is not None
    assert column.distribution.distinct == 7
    assert "random" in catalog.volatile_functions
    assert "lower" in catalog.known_functions - catalog.volatile_functions


def test_catalog_has_partition_keys(connection: Connection) -> None:
    connection.execute(
        """
        CREATE TABLE events (at timestamp, "the kind" text, n int)
            PARTITION BY RANGE (at, lower("the kind" || ',)'), n, (n + 1));
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01', '', 0, 0)
            TO ('2025-01-01', '', 0, 0) PARTITION BY HASH (n);
        CREATE TABLE events_1_1 PARTITION OF events_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        CREATE TABLE regions (region text) PARTITION BY LIST (region)
        """
    )
    tables = read_catalog(connection).tables
    keys = {name: (each.partition_strategy, each.partition_key) for name, each in tables.items()}
    events = ("at", """lower(("the kind" || ',)'::text))""", "n", "(n + 1)")
    assert keys["public.events"] == ("range", events)
    assert keys["public.events_1"] == ("hash", ("n",))
    assert keys["public.regions"] == ("list", ("region",))
    assert keys["public.events_1_1"] == keys["public.t"] == ("", ())


def test_what_if_leaves_nothing(connection: Connection) -> None:
    whatif = BuildWhatIf(connection, "disposable")
    sql, before = "SELECT * FROM t WHERE u = $1", indexes(connection)
    today = whatif.explain(sql, [7])
    with whatif.indexes([ON_U]) as (index,):
        plan = whatif.explain(sql, [7])
        assert plan.indexes == {index.name}
        assert plan.cost < today.cost / 5
        assert index.size_bytes > 8192
        with whatif.without(index):
            assert whatif.explain(sql, [7]) == today
        assert whatif.explain(sql, [7]) == plan
    assert whatif.explain(sql, [7]) == today
    assert indexes(connection) == before


def test_what_if_survives_a_statement_that_fails(connection: Connection) -> None:
    whatif = BuildWhatIf(connection, "staging")
    with whatif.indexes([ON_U]) as (index,):
        with pytest.raises(StatementError):
            whatif.explain("SELECT * FROM nowhere", [])
        assert whatif.explain("SELECT * FROM t WHERE u = $1", [7]).indexes == {index.name}


def test_nothing_is_built_in_production(connection: Connection) -> None:
    with pytest.raises(UnsafeError, match="staging"):
        BuildWhatIf(connection, "production")


def test_an_index_the_planner_would_ignore_is_not_judged(
    server: Server, database: str, connection: Connection
) -> None:
    """An older snapshot and a broken HOT chain: the planner leaves the new index out without a word."""
    connection.execute("CREATE TABLE h WITH (fillfactor = 50) AS SELECT id, u FROM t")
    with psycopg.connect(server.dsn(database)) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM h")
        connection.execute("UPDATE h SET u = u + 1 WHERE id < 1000")
        whatif = BuildWhatIf(connection, "disposable")
        on_h = IndexSpec("public", "h", ON_U.keys)
        with pytest.raises(StatementError, match="not judged"), whatif.indexes([on_h]):
            pass


def test_an_index_that_cannot_be_built_says_why(connection: Connection) -> None:
    connection.execute("CREATE TABLE documents (body json)")
    whatif = BuildWhatIf(connection, "disposable")
    on_body = IndexSpec("public", "documents", (IndexKey("body"),))
    with pytest.raises(StatementError, match="ix_documents_body cannot be built"), whatif.indexes([on_body]):
        pass
