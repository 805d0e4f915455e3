"""What `dbperf record` adds to the wall time of a test suite, and what a flush costs.

    uv run python tests/bench/record.py

The suite is ORM tests on an embedded PostgreSQL, one transaction each, about as fast as one client can send
statements. With and without record take turns, and the order within a pair alternates, so that what else the
machine does falls on both alike. Starting the program and reading the spools at the end are told apart.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from dbperf.model.histogram import bucket_of

if TYPE_CHECKING:
    from dbperf.capture.observations import Observations

PAIRS, TESTS = 15, 500


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    total: Mapped[int]
    customer: Mapped[Customer] = relationship(back_populates="orders")


def suite(url: str) -> None:
    """Run the tests; prints the seconds they took, by the clock and of this process's CPU."""
    engine = sa.create_engine(url)
    with Session(engine) as session:
        session.execute(sa.text('TRUNCATE "order", customer'))  # what earlier runs rolled back takes room
        session.commit()
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(TESTS):
        with Session(engine) as session:
            test_orders(session, number)
            session.rollback()
    print(time.perf_counter() - started, time.process_time() - cpu)


def test_orders(session: Session, number: int) -> None:
    """A test of an application: it writes, loads, counts, changes and deletes."""
    customer = Customer(name=f"customer {number}", orders=[Order(total=each) for each in range(3)])
    session.add(customer)
    session.flush()
    session.expire_all()
    assert [order.total for order in customer.orders] == [0, 1, 2]
    for order in customer.orders:
        assert order.customer.name.endswith(str(number))
    mine = Order.customer_id == customer.id
    assert session.scalars(sa.select(Customer).join(Order).where(mine, Order.total > 1)).all() == [customer]
    assert session.scalar(sa.select(sa.func.count()).select_from(Order).where(mine)) == 3
    customer.orders[0].total = 9
    session.delete(customer.orders[1])
    session.flush()
    assert session.scalar(sa.select(sa.func.max(Order.total)).where(mine)) == 9


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds: of the tests, of their CPU, and of everything before and after them."""

    tests: float
    cpu: float
    rest: float


def run(command: Sequence[str], more: dict[str, str]) -> Run:
    """Run the suite in a process of its own."""
    started = time.perf_counter()
    done = subprocess.run(command, env=os.environ | more, check=True, stdout=subprocess.PIPE, text=True)
    tests, cpu = map(float, done.stdout.split())
    return Run(tests, cpu, time.perf_counter() - started - tests)


def main() -> None:
    from dbperf.embedded import start
    from dbperf.recording import environment
    from dbperf.workload.spool import read_spools

    with start() as server, tempfile.TemporaryDirectory() as folder:
        url = server.url("psycopg")
        engine = sa.create_engine(url)
        Base.metadata.create_all(engine)
        engine.dispose()
        command = (sys.executable, __file__, url)
        ways = {"without": dict[str, str](), "with": environment(folder, parameters=False)}
        spent: dict[str, list[Run]] = {way: [] for way in ways}
        run(command, {})  # the server's caches
        for number in range(PAIRS):
            for way in sorted(ways, reverse=bool(number % 2)):
                spent[way].append(run(command, ways[way]))
        spools = list(read_spools(Path(folder), []))
        calls = sum(each.calls for one in spools for batch in one.batches for each in batch.seen.observed)
        recorded = (sys.executable, "-m", "dbperf", "record", "-o", f"{folder}/out.sqlite", "--", *command)
        whole = [statistics.median(whole_of(each) for _ in range(5)) for each in (command, recorded)]
    report(spent, calls)
    print(f"the whole program: {whole[0]:.2f} s alone, {whole[1]:.2f} s with its spools read at the end")
    flushes()


def whole_of(command: Sequence[str]) -> float:
    """Seconds from the start of a command to its end."""
    ran = run(command, {})
    return ran.tests + ran.rest


def report(spent: dict[str, list[Run]], calls: int) -> None:
    """The ratios of the tests, pair by pair, and what starting and ending took longer."""
    pairs = list(zip(spent["with"], spent["without"], strict=True))
    rate = calls / sum(mine.tests for mine, _ in pairs)
    print(f"{PAIRS} pairs of {calls / PAIRS:,.0f} statements, {rate:,.0f} a second")
    for what, ratios in (
        ("wall time", [mine.tests / plain.tests for mine, plain in pairs]),
        ("client's CPU", [mine.cpu / plain.cpu for mine, plain in pairs]),
    ):
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{what}: {middle:.3f}x, quartiles {low:.3f} to {high:.3f}")
    rest = statistics.median(plain.rest for _, plain in pairs)
    more = statistics.median(mine.rest - plain.rest for mine, plain in pairs)
    print(f"starting and ending: {rest:.3f} s, +{more:.3f} s")


def flushes() -> None:
    """CPU of a flush to a spool, with 5,000 live statements of which 100 were touched, and of an idle one."""
    from dbperf.capture.observations import Observations
    from dbperf.model.workload import Writer
    from dbperf.workload.flush import Flusher
    from dbperf.workload.spool import Spool

    seen = Observations(sa.create_engine("sqlite://").dialect, "here", 5000, lambda: None)
    with tempfile.TemporaryDirectory() as folder:
        flusher = Flusher()
        sink = Spool(folder, Writer(1, "here", os.getpid(), time.time()), parameters=False)
        flusher.add("spool", lambda _: sink, 1e6, seen, lambda: seen)
        for touched in (5000, 100, 0):
            spent = []
            for _ in range(50):
                touch(seen, touched)
                began = time.process_time_ns()
                flusher.flush(60)
                spent.append((time.process_time_ns() - began) / 1e6)
            print(f"flush, {touched:,} of 5,000 statements touched: {statistics.median(spent):.2f} ms of CPU")
        flusher.finish()


def touch(seen: Observations, statements: int) -> None:
    """What an observer does, once for each of so many statements."""
    mine = seen.recorders.mine()
    for number in range(statements):
        sql = f"SELECT t.id, t.name FROM t WHERE t.id = %(id_1)s AND t.kind = {number}"
        slot = mine.slots.get(sql) or seen.recorders.new_slot(mine, sql, sql)
        nanoseconds = 1000 * number
        slot.calls += 1
        slot.rows += 1
        slot.execute_ns += nanoseconds
        slot.latency[bucket_of(nanoseconds)] = slot.latency.get(bucket_of(nanoseconds), 0) + 1
        slot.at(touch.__code__, 2).calls += 1
        slot.touched()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        suite(sys.argv[1])
    else:
        main()
