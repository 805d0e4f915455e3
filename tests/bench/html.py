"""How large the HTML report is, and what it takes: `uv run python tests/bench/html.py [--statements 500]`.

The statements are as an ORM writes them, of 1 to 3 kB.
"""

from __future__ import annotations

import argparse
import random
import statistics
from time import perf_counter

from dbperf.model.histogram import Latency, bucket_of
from dbperf.model.recommendation import Evidence, Level, Recommendation, Severity, Verification
from dbperf.model.report import Coverage, Report, Skipped, StatementReport, Target
from dbperf.model.workload import CallSite, Statement
from dbperf.report import html, json, saved

RUNS = 5


def statement(number: int, chance: random.Random) -> Statement:
    table = f"warehouse_{number % 40}"
    columns = [
        f"{table}.attribute_{chance.randrange(200)} AS {table}_attribute_{n}"
        for n in range(chance.randrange(15, 45))
    ]
    joins = "".join(
        f" LEFT OUTER JOIN reference_{n} AS reference_{n}_1 ON reference_{n}_1.id = {table}.reference_{n}_id"
        for n in range(chance.randrange(1, 4))
    )
    where = f'WHERE {table}."Tenant" = $1::INTEGER AND {table}.state = $2'
    sql = f"SELECT {', '.join(columns)} FROM {table}{joins} {where}"
    calls, mean = chance.randrange(1, 5000), chance.paretovariate(1.2) / 2000
    sites = (CallSite(f"/srv/app/services/warehouse/{table}.py", chance.randrange(400), "find_all", calls),)
    latency = Latency.of({bucket_of(int(mean * 1e9)): calls})
    seconds = calls * mean
    return Statement(
        sql,
        f"{number:016x}",
        "postgresql",
        "db/5432/app",
        calls,
        calls,
        calls * 9,
        0,
        0,
        seconds,
        latency,
        sites,
    )


def recommendation(number: int, served: list[Statement]) -> Recommendation:
    evidence = tuple(
        Evidence(
            each.fingerprint, each.sql, each.calls, "captured", 5, "Seq Scan on warehouse",
            "Index Scan on warehouse using ix_warehouse_tenant_state", 24310.5, 8.44, 0.0343, 0.00012,
        )
        for each in served
    )  # fmt: skip
    return Recommendation(
        id=f"DBP101:public.warehouse_{number}(tenant, state)",
        code="DBP101",
        slug="missing-index",
        severity=Severity.WARNING,
        title=f"warehouse_{number} has no index on (tenant, state)",
        tables=(f"public.warehouse_{number}",),
        statements=tuple(each.fingerprint for each in served),
        call_sites=tuple(site for each in served for site in each.call_sites),
        ddl=(f"CREATE INDEX CONCURRENTLY ix_{number} ON public.warehouse_{number} (tenant, state);",),
        fix=f'Index("ix_warehouse_{number}_tenant_state", "tenant", "state")',
        evidence=evidence,
        verification=Verification(
            Level.MEASURED, "a real index, built and rolled back", 24310.5, 8.44, 0.03, 0.0001, "18.4"
        ),
        write_cost="one more index to maintain for this workload's 20 INSERTs",
        size_bytes=11_583_488,
        risk="CREATE INDEX CONCURRENTLY blocks no writes, but cannot run in a transaction",
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--statements", type=int, default=500)
    options.add_argument("--recommendations", type=int, default=20)
    given = options.parse_args()
    chance = random.Random(7)
    statements = [statement(number, chance) for number in range(given.statements)]
    statements.sort(key=lambda each: -each.seconds)
    advised = [
        recommendation(number, chance.sample(statements, 4)) for number in range(given.recommendations)
    ]
    verdict = "no index suggested: the planner prefers to read the whole table, 40% of its rows qualify"
    number, denied = len(statements), "not explained: permission denied"
    skipped = tuple(Skipped(each.fingerprint, each.sql, denied) for each in statements[-20:])
    report = Report(
        Target("db.example.com/5432/app", "18.4", "staging"),
        tuple(StatementReport(each, verdict, ("public.warehouse",), 24310.5) for each in statements),
        tuple(advised),
        Coverage(number, number, number - len(skipped), skipped),
    )
    sizes = [len(each.sql) for each in statements]
    print(f"SQL             {min(sizes):,} to {max(sizes):,} characters, {sum(sizes):,} in all")
    text = json.render(report)
    for name, act in (
        ("HTML", lambda: html.render(report)),
        ("JSON", lambda: json.render(report)),
        ("JSON, parsed", lambda: json.render(saved.parse(text))),
    ):
        seconds = []
        for _ in range(RUNS):
            started = perf_counter()
            rendered = act()
            seconds.append(perf_counter() - started)
        then = f"{seconds[0]:.2f} s the first time, then {statistics.median(seconds):.2f} s"
        print(f"{name:14}  {len(rendered):10,} bytes  {then}")


if __name__ == "__main__":
    main()
