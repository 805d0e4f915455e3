"""The choice among indexes, and what execution says of it, on workloads whose best answer is known."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from dbperf.analysis import analyze
from dbperf.embedded import Server
from dbperf.model.report import Report
from dbperf.model.workload import Sample, Statement, Workload
from dbperf.workload.fold import merge

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, owner int NOT NULL, state int NOT NULL, at int NOT NULL, pad text);
INSERT INTO orders SELECT i, i % 3000, i % 40, (i::bigint * 7919) % 60000, repeat('x', 80)
FROM generate_series(1, 60000) i;
ANALYZE orders;
"""


def run(server: Server, database: str, *statements: str) -> None:
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        for sql in statements:
            connection.execute(sql)  # type: ignore[arg-type]


def statement(sql: str, *, seconds: float = 0.0, calls: int = 1, database: str = "one") -> Statement:
    return Statement(
        sql,
        fingerprint=str(hash(sql)),
        dialect="postgresql",
        database=database,
        calls=calls,
        execute_seconds=seconds,
        samples=(Sample(sql),),
    )


def advise(server: Server, database: str, *statements: Statement, verify: bool = False) -> Report:
    workload = Workload(statements)
    return analyze(workload, server.dsn(database), environment="disposable", verify=verify)


def ids(report: Report) -> list[str]:
    return [each.id.removeprefix("DBP101:public.") for each in report.recommendations]


def verdicts(report: Report) -> list[str]:
    return [each.verdict for each in report.statements]


VACUUM = "VACUUM FULL ANALYZE orders"
BOTH = "SELECT * FROM orders WHERE owner = 7 AND state = 7"
OWNER = "SELECT * FROM orders WHERE owner = 9"
STATE = "SELECT * FROM orders WHERE state = 9 ORDER BY at LIMIT 10"
PAGE = "SELECT * FROM orders WHERE owner = 9 ORDER BY at LIMIT 10"


@pytest.mark.parametrize(
    ("statements", "best"),
    [
        ((BOTH, OWNER), ["orders(owner,state)"]),
        ((OWNER, PAGE), ["orders(owner,at)"]),
        ((STATE,), ["orders(state,at)"]),
        ((STATE, "SELECT count(*) FROM orders WHERE state = 3"), ["orders(state,at)"]),
        ((OWNER, STATE), ["orders(owner)", "orders(state,at)"]),
    ],
)
def test_the_best_set_is_chosen(
    server: Server, database: str, statements: tuple[str, ...], best: list[str]
) -> None:
    run(server, database, ORDERS)

    report = advise(server, database, *map(statement, statements))

    assert sorted(ids(report)) == best
    assert all(each.startswith("missing index") for each in verdicts(report))


def test_a_key_is_put_first_where_one_index_then_serves_both(server: Server, database: str) -> None:
    run(server, database, ORDERS, "UPDATE orders SET state = id % 500, owner = id / 60", VACUUM)
    pair = statement("SELECT * FROM orders WHERE owner = 7 AND state = 7")
    state = statement("SELECT count(*) FROM orders WHERE state = 9")

    assert ids(advise(server, database, pair, state)) == ["orders(state,owner)"]


def test_what_took_long_comes_first_and_is_an_error(server: Server, database: str) -> None:
    run(server, database, ORDERS)

    report = advise(
        server, database, statement(OWNER, seconds=0.1, calls=5), statement(STATE, seconds=60.0, calls=5)
    )

    assert ids(report) == ["orders(state,at)", "orders(owner)"]
    assert [each.severity for each in report.recommendations] == ["error", "info"]


def test_the_same_workload_gives_the_same_ids_and_severities(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    workload = [statement(each, seconds=1.0) for each in (BOTH, OWNER, STATE)]

    one, other = advise(server, database, *workload), advise(server, database, *reversed(workload))

    assert {(each.id, each.severity) for each in one.recommendations} == {
        (each.id, each.severity) for each in other.recommendations
    }


def test_an_index_that_lures_a_statement_into_a_slower_plan_is_not_advised(
    server: Server, database: str
) -> None:
    """The classic: ORDER BY … LIMIT read off an index, where the rows wanted are at its very end."""
    run(server, database, ORDERS)
    run(server, database, "UPDATE orders SET pad = 'wanted' WHERE at > 59000", VACUUM)
    lured = "SELECT * FROM orders WHERE pad LIKE '%wanted' ORDER BY at LIMIT 5"

    report = advise(server, database, statement(lured), statement("SELECT max(at) FROM orders"), verify=True)

    assert ids(report) == ["DBP303:orders.pad:end"], "of the text alone"
    assert all("no index advised: orders (at)" in each and "slower" in each for each in verdicts(report))


def test_another_index_is_chosen_where_one_was_slower(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    run(
        server,
        database,
        "UPDATE orders SET state = CASE WHEN at > 56000 THEN 1 ELSE 2 + at % 3 END",
        VACUUM,
    )
    lured = "SELECT pad FROM orders WHERE state = 1 ORDER BY at LIMIT 30"

    report = advise(server, database, statement(lured), verify=True)

    assert ids(report) == ["orders(state,at)"]
    assert report.recommendations[0].verification.level == "measured"


def test_what_cannot_be_run_is_not_timed_and_says_why(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    reasons = {
        "SELECT 1 / (owner - owner) FROM orders WHERE owner = 9": "it failed when run (SQLSTATE 22012)",
        "SELECT random() FROM orders WHERE owner = 9": "random() is volatile",
        "SELECT id FROM orders WHERE owner = 9 FOR UPDATE": "it writes or locks rows",
        "DELETE FROM orders WHERE owner = 9": "it writes or locks rows",
        "SELECT CASE WHEN id = 1 THEN coalesce(at, 1) END FROM orders WHERE owner = 9": "",
    }

    (advised,) = advise(server, database, *map(statement, reasons), verify=True).recommendations

    assert {each.sql: each.not_timed for each in advised.evidence} == reasons
    assert advised.verification.level == "measured"


def test_one_statement_recorded_on_two_hosts_is_one(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    primary = statement(OWNER, seconds=1.0, calls=3, database=f"primary/5432/{database}")
    replica = replace(primary, database=f"replica/5432/{database}")
    workload = merge([Workload((primary, replica))])

    report = analyze(workload, server.dsn(database), environment="disposable")

    assert [(each.statement.calls, each.verdict.count("missing")) for each in report.statements] == [(6, 1)]
    assert len(report.recommendations[0].evidence) == 1


def test_a_table_of_another_owner_is_not_judged(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    run(server, database, f"CREATE ROLE {database}_reader; GRANT SELECT ON orders TO {database}_reader")
    target = f"{server.dsn(database)} options='-c role={database}_reader'"

    report = analyze(Workload((statement(OWNER),)), target, environment="disposable")

    assert verdicts(report) == [
        "not judged: ix_orders_owner cannot be built: no permission: must be owner of table orders"
    ]
    run(server, database, f"DROP OWNED BY {database}_reader; DROP ROLE {database}_reader")


def test_a_role_that_may_only_insert_is_served(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    run(server, database, f"CREATE ROLE {database}_writer; GRANT INSERT ON orders TO {database}_writer")
    target = f"{server.dsn(database)} options='-c role={database}_writer'"
    insert = statement("INSERT INTO orders VALUES (0, 1, 2, 3, 'x')")

    report = analyze(Workload((insert, statement(OWNER))), target, environment="disposable")

    assert verdicts(report) == [
        "nothing to advise: an INSERT looks up no rows",
        "not explained: no permission to read public.orders",
    ]
    run(server, database, f"DROP OWNED BY {database}_writer; DROP ROLE {database}_writer")


def test_a_statement_slow_for_no_reason_in_its_plan_is_not_called_fine(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    waited = statement("SELECT * FROM orders WHERE id = 7", seconds=8.0, calls=4)

    assert verdicts(advise(server, database, waited))[0].startswith(
        "not explained by its plan: a call took 2.00 s, yet there is little to do (planner cost "
    )


def test_evidence_shows_the_scan_that_changes_under_the_proposed_name(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    run(
        server,
        database,
        "ALTER TABLE orders ADD parent int; UPDATE orders SET parent = id / 3; ANALYZE orders",
    )
    joined = "SELECT b.id FROM orders a JOIN orders b ON b.parent = a.id WHERE a.id = 77"

    (advised,) = advise(server, database, statement(joined)).recommendations

    assert advised.evidence[0].plan_before == "Seq Scan on orders"
    assert advised.evidence[0].plan_after.endswith("Scan on orders using ix_orders_parent")


def test_what_an_index_costs_is_counted_from_the_workload(server: Server, database: str) -> None:
    run(server, database, ORDERS)
    inserted = statement("INSERT INTO orders VALUES (0, 1, 2, 3, 'x')", calls=2)
    workload = (
        statement(OWNER),
        replace(inserted, parameter_sets=500),
        statement("UPDATE orders SET owner = 3 WHERE id = 8", calls=0),
        statement("UPDATE orders SET state = 3 WHERE id = 8", calls=7),
    )

    (advised,) = advise(server, database, *workload).recommendations

    assert advised.write_cost == (
        "one more index to maintain for this workload's 500 INSERTs and 1 UPDATE of its columns"
    )


def test_nothing_is_left_on_the_server(server: Server, database: str) -> None:
    run(server, database, ORDERS)

    advise(server, database, *map(statement, (BOTH, OWNER, STATE, PAGE)), verify=True)

    with psycopg.connect(server.dsn(database)) as connection:
        assert connection.execute("SELECT relname FROM pg_class WHERE relname ~ 'dbperf'").fetchall() == []
        assert connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'orders'::regclass"
        ).fetchall() == [("orders_pkey",)]
