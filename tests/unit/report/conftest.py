"""Reports of a shop: its tests change one field at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbperf.model.histogram import Latency, bucket_of
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.report import Coverage, Replayed, Report, Skipped, StatementReport, Target
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Sample, Statement, Unseen

DDL = (
    "CREATE INDEX CONCURRENTLY ix_orders_customer_id_created_at_status"
    " ON public.orders (customer_id, created_at DESC, status) WHERE deleted_at IS NULL;"
)
DATABASE = "localhost/5432/shop"


def statement(fingerprint: str, sql: str, calls: int, seconds: float, *sites: CallSite) -> Statement:
    latency = Latency.of({bucket_of(int(seconds / calls * 1e9)): calls}) if calls else Latency()
    return Statement(
        sql=sql,
        fingerprint=fingerprint,
        dialect="postgresql",
        database=DATABASE,
        calls=calls,
        rows=calls * 3,
        execute_seconds=seconds,
        latency=latency,
        call_sites=sites,
        samples=(Sample("SELECT 'secret-sample'", ("secret-parameter",)),),
    )


def evidence(of: Statement, **changes: object) -> Evidence:
    base = Evidence(
        fingerprint=of.fingerprint,
        sql=of.sql,
        calls=of.calls,
        parameters="captured",
        parameter_sets=5,
        plan_before="Seq Scan on orders",
        plan_after="Index Scan on orders using ix_orders_customer_id_created_at_status",
        cost_before=24310.5,
        cost_after=8.44,
        seconds_before=0.0343,
        seconds_after=0.00012,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


ORDERS = statement(
    "f1",
    "SELECT orders.id, orders.customer_id, orders.created_at, orders.status, orders.total, orders.note, "
    "orders.deleted_at FROM orders WHERE orders.customer_id = $1 AND orders.deleted_at IS NULL "
    "ORDER BY orders.created_at DESC LIMIT $2",
    1200,
    41.2,
    CallSite(str(Path.cwd() / "shop" / "orders.py"), 42, "recent_orders", 1100),
    CallSite("/srv/shop/admin.py", 7, "export", 100),
)
LINES = statement(
    "f2",
    "SELECT * FROM lines WHERE order_id = $1",
    5000,
    10.0,
    CallSite("/srv/shop/lines.py", 9, "of", 5000),
)
LOWER = statement("f3", "SELECT id FROM customers WHERE lower(email) = $1", 10, 0.8)
BROKEN = statement("f4", "SELEC 1", 1, 0.0001)


@pytest.fixture
def index() -> Recommendation:
    """A measured missing index that serves two statements."""
    return Recommendation(
        id="DBP101-0a1b2c",
        code="DBP101",
        slug="missing-index",
        severity=Severity.WARNING,
        title="Missing index on orders (customer_id, created_at DESC, status)",
        tables=("public.orders",),
        statements=("f1", "f2"),
        call_sites=ORDERS.call_sites,
        ddl=(DDL,),
        fix='Index("ix_orders_customer_id_created_at_status", Order.customer_id, Order.created_at.desc())',
        evidence=(
            evidence(LINES, seconds_before=0.002, seconds_after=0.001, plan_after=""),
            evidence(ORDERS),
        ),
        verification=Verification(
            Level.MEASURED,
            "the index was built and each statement timed with and without it, interleaved",
            cost_before=24310.5,
            cost_after=8.44,
            seconds_before=0.0343,
            seconds_after=0.00012,
            server_version="18.4",
        ),
        write_cost="one more index for each INSERT into orders and each UPDATE of its columns",
        size_bytes=33_685_504,
        risk="CONCURRENTLY takes no lock that blocks writers, but waits for open transactions",
    )


@pytest.fixture
def shop(index: Recommendation) -> Report:
    """One finding, a statement that no index helps, one that could not be parsed."""
    return Report(
        target=Target(DATABASE, "18.4", "disposable"),
        statements=(
            StatementReport(
                ORDERS, "missing index", ("public.orders",), 24310.5, (index.id,), Replayed(1200, 0.144)
            ),
            StatementReport(
                LINES, "missing index", ("public.lines",), 920.0, (index.id,), Replayed(5000, 5.0)
            ),
            StatementReport(
                LOWER, "no index helps: lower(email) is not a bare column", (), 3100.0, (), Replayed(10, 0.81)
            ),
            StatementReport(BROKEN, "not explained: it does not parse"),
        ),
        recommendations=(index,),
        coverage=Coverage(
            seen=4,
            parsed=3,
            explained=3,
            skipped=(Skipped("f4", "SELEC 1", "it does not parse"),),
            other_databases=2,
            notes=("120 executions were counted but not kept by statement",),
        ),
    )


def times(name: str, number: int, seconds: float) -> dict[str, int]:
    """The counts of a distribution: as many durations, of the same length each."""
    return {f"{name}_ns": int(number * seconds * 1e9), f"{name}.{bucket_of(int(seconds * 1e9))}": number}


FIGURES = (
    Figure.of(
        "pool",
        "QueuePool",
        DATABASE,
        {
            "checkouts": 12_000,
            "limit.15": 12_000,
            "busy.3": 11_960,
            "busy.14": 40,
            "timeouts": 2,
            **times("wait", 12_000, 0.0001),
            **times("held", 12_000, 0.02),
            "raw_checkouts": 120,
            "raw_ns": 31_400_000_000,
            "connects": 15,
            "connect_errors": 1,
            **times("connect", 15, 0.012),
            "pings": 11_985,
            **times("ping", 11_985, 0.0002),
        },
    ),
    Figure.of(
        "transactions",
        "",
        DATABASE,
        {
            "begins": 12_000,
            "commits": 5600,
            **times("commit", 5600, 0.001),
            "rollbacks": 6400,
            **times("rollback", 6400, 0.0001),
            "errors": 3,
        },
    ),
    Figure.of(
        "operation",
        "GET /orders",
        "",
        {
            "calls": 1000,
            "errors": 4,
            **times("whole", 1000, 0.05),
            "statements": 6200,
            "execute_ns": 40_000_000_000,
            "marker checked": 1000,
            "marker_ns checked": 3_000_000_000,
            "marker saved": 900,
            "marker_ns saved": 14_400_000_000,
        },
    ),
    Figure.of("operation", "GET /health", "", {"calls": 5000, **times("whole", 5000, 0.0004)}),
    Figure.of("batcher", "QueryBatcher", DATABASE, {"batches": 3, "size.20": 3}),
)


@pytest.fixture
def busy(shop: Report) -> Report:
    """The same with all that capture can tell."""
    first, *rest = shop.statements
    site = first.statement.call_sites[0]
    told = replace(
        first.statement,
        unread_rows=600,
        timeouts=3,
        errors=1,
        wait_seconds=4.4,
        fetch_seconds=2.8,
        failures=(("QueryCanceled", 3), ("DeadlockDetected", 1)),
        operations=(("GET /orders", 1000), ("", 200)),
        accesses=(
            Access("lazy", "GET /orders", site, "selectinload(User.orders)", site, 100, 1000, 34_000_000, 0),
            Access("again", calls=7),
        ),
    )
    return replace(
        shop,
        statements=(replace(first, statement=told, after=Replayed(1200, 0.144, 2.7)), *rest),
        figures=FIGURES,
        coverage=replace(
            shop.coverage,
            unseen=Unseen(3400, 12_300_000_000, 1, 2, 1200, 900, own_ns=22_800_000, own_calls=12_000),
        ),
    )


@pytest.fixture
def empty() -> Report:
    """A workload without a statement."""
    return Report(Target(DATABASE, "18.4", "production"), (), (), Coverage(0, 0, 0))
