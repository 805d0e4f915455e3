"""The fleet's store on a real PostgreSQL: many writers, upgrades under them, connections that are lost."""

from __future__ import annotations

import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dbperf.embedded import Server
from dbperf.errors import StoreError
from dbperf.model.histogram import Latency
from dbperf.model.runtime import Figure
from dbperf.model.workload import Access, CallSite, Observed, Seen, Unseen, Writer
from dbperf.workload.fold import fold
from dbperf.workload.store import tables
from dbperf.workload.store.connect import connect, place_of, transaction
from dbperf.workload.store.info import info
from dbperf.workload.store.merge import merge
from dbperf.workload.store.prune import Pruned, prune
from dbperf.workload.store.read import read
from dbperf.workload.store.upgrade import upgrade
from dbperf.workload.store.writer import StoreWriter

DAY = 86400
NONE = Unseen()
Database = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def store(psycopg_url: str) -> str:
    """The URL of a store, as a user may write it."""
    url = psycopg_url.replace("+psycopg", "")
    upgrade(url)
    return url


@pytest.fixture
def watcher(server: Server, database: str) -> Iterator[Database]:
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        yield connection


def writer(url: str, number: int = 1, **options: Any) -> StoreWriter:
    return StoreWriter(url, Writer(number, "host", number, 0.0), **options)


def observed(number: int = 0, calls: int = 1, **values: Any) -> Observed:
    latency = Latency(((40 + number, calls),))
    sites = (CallSite("/srv/a.py", number, "f", calls),)
    counts = {"calls": calls, "parameter_sets": calls, "rows": 2 * calls, "execute_ns": 500_000_000 * calls}
    loop = Access("loop", "GET /a", CallSite("/srv/a.py", number, "f", 0), "", None, calls, calls, 9 * calls)
    names = {"operations": (("GET /a", calls),), "failures": (("QueryCanceled", calls),), "accesses": (loop,)}
    given = {**counts, **names, "latency": latency, "call_sites": sites, **values}
    return Observed(f"SELECT * FROM t{number} WHERE a = %s", "postgresql", "format", "d/5/shop", **given)


def figure(name: str = "GET /a", calls: int = 1) -> Figure:
    counts = {"calls": calls, "whole_ns": 10**9 * calls, "whole.230": calls, "marker half way": calls}
    return Figure.of("operation", name, "", counts)


def seen_of(observed: Iterable[Observed], unseen: Unseen = NONE, *figures: Figure) -> Seen:
    return Seen(tuple(observed), figures, unseen)


def calls(url: str) -> int:
    return sum(each.calls for each in read(url).statements)


def test_a_workload_comes_back(store: str, watcher: Database) -> None:
    sink = writer(store, private=True)
    seen = [observed(number, parameters=((number,),)) for number in range(5)]
    sink.write(0.0, seen_of(seen, Unseen(1, 2, 3), figure(), figure("a\0b")))
    sink.write(0.0, seen_of(seen[:2], Unseen(1), figure(calls=2)))
    sink.close()
    figures = [figure(calls=3), figure("a\\x00b")]
    assert read(store) == fold(seen + seen[:2], Unseen(2, 2, 3), figures)
    assert sum(each.latency.count for each in read(store, detailed=2).statements) == 4
    # The server's clock tells the window, whatever the host's.
    (fresh,) = watcher.execute("select bool_and(starts > extract(epoch from now()) - 120) from dbperf.minute")
    assert fresh == (True,)
    found = info(store)
    assert (found.calls, found.statements, found.processes, found.writers[0].pid) == (7, 5, 1, 1)
    assert found.size_bytes > 100_000


def test_the_migrations_make_the_tables(store: str) -> None:
    with connect(place_of(store), "read") as connection, transaction(connection):
        connection.dialect.default_schema_name = tables.SCHEMA
        partition = re.compile(r"(figure_)?(minute|hour|day)_(rest|\d+)")
        tables_alone = {"include_object": lambda _item, name, *_: not partition.fullmatch(name)}
        context = MigrationContext.configure(connection, opts=tables_alone)
        assert compare_metadata(context, tables.metadata) == []


def test_what_an_older_store_holds_stays(store: str, watcher: Database) -> None:
    """Also in partitions that were made before, and for a process that goes on writing."""
    upgrade(store, "0002")
    watcher.execute("set search_path = dbperf")
    watcher.execute("insert into statement values (7, 'SELECT $1', 'abc', 'sqlite', '/shop', 60)")
    watcher.execute("insert into writer values (1, 'host', 2, 60, 90, 3, 4, 5, 6)")
    for starts in (60, int(time.time()) // 60 * 60):
        row = "(7, %s, 1, 10, 10, 20, 1, 2, 5000000000, '40*10', '')"
        watcher.execute(f"insert into minute values {row}".encode(), (starts,))
    assert upgrade(store) == ("0002", tables.HEAD)
    sink = writer(store)
    sink.write(0.0, seen_of([observed()], NONE, figure()))
    sink.close()
    workload = read(store)
    calls = {each.sql: each.calls for each in workload.statements}
    assert calls == {"SELECT $1": 20, "SELECT * FROM t0 WHERE a = $1": 1}
    assert workload.figures == (figure(),)
    assert workload.coverage == Unseen(folded_calls=4, observer_failures=5, flush_failures=6)


def test_a_store_that_nobody_made_says_once_what_to_run(psycopg_url: str) -> None:
    sink = writer(psycopg_url)
    says = r"/test_\d+: there is no dbperf store that this user may use: run dbperf store upgrade$"
    for _ in range(2):
        with pytest.raises(StoreError, match=says):
            sink.write(0.0, seen_of([observed()]))
    with pytest.raises(StoreError, match=says):
        read(psycopg_url)
    upgrade(psycopg_url)
    sink.write(0.0, seen_of([observed(calls=2)]))
    sink.close()
    assert calls(psycopg_url) == 2


def test_a_role_without_rights_is_told_so(store: str, watcher: Database) -> None:
    watcher.execute("create role stranger login")
    try:
        sink = writer(store.replace("postgres@", "stranger@"))
        with pytest.raises(StoreError, match=r"no dbperf store that this user may use"):
            sink.write(0.0, seen_of([observed()]))
        watcher.execute("grant usage on schema dbperf to stranger")
        with pytest.raises(StoreError, match=r"no permission: the store belongs to another user$"):
            sink.write(0.0, seen_of([observed()]))
        watcher.execute("grant select, insert, update on all tables in schema dbperf to stranger")
        sink.write(0.0, seen_of([observed()]))
        sink.close()
        assert calls(store) == 1
    finally:
        watcher.execute("drop owned by stranger")
        watcher.execute("drop role stranger")


def test_a_writer_comes_back_after_its_connection_was_ended(store: str, watcher: Database) -> None:
    sink = writer(store)
    sink.write(0.0, seen_of([observed()]))
    others = "datname = current_database() and pid <> pg_backend_pid()"
    watcher.execute(f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where {others}")
    with pytest.raises(StoreError):
        sink.write(0.0, seen_of([observed()]))
    sink.write(0.0, seen_of([observed()]))
    sink.close()
    assert calls(store) == 2


@contextmanager
def proxy(server: Server, lost: Callable[[bytes], bool]) -> Iterator[int]:
    """A port that leads to the server, until a message to it is one that is `lost`: the server gets it,
    and its answer never comes back.
    """

    def serve(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(f"{server.host}/.s.PGSQL.{server.port}")
            threading.Thread(target=backwards, args=(upstream, client), daemon=True).start()
            while data := client.recv(65536):
                if lost(data):
                    client.shutdown(socket.SHUT_RDWR)
                    upstream.sendall(data)
                    while upstream.recv(65536):  # until the server has answered, and sees us go
                        upstream.shutdown(socket.SHUT_WR)
                    return
                upstream.sendall(data)

    def backwards(upstream: socket.socket, client: socket.socket) -> None:
        try:
            while data := upstream.recv(65536):
                client.sendall(data)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_commit_whose_answer_never_came_counts_once(
    store: str, server: Server, database: str, watcher: Database
) -> None:
    lose = False

    def lost(data: bytes) -> bool:
        return lose and b"COMMIT" in data

    with proxy(server, lost) as port:
        sink = writer(f"postgresql://postgres@127.0.0.1:{port}/{database}")
        sink.write(0.0, seen_of([observed()], NONE, figure()))
        lose = True
        with pytest.raises(StoreError):
            sink.write(0.0, seen_of([observed(calls=10)], Unseen(folded_calls=1), figure(calls=10)))
        deadline = time.monotonic() + 30
        while calls(store) != 11:  # the server did commit
            assert time.monotonic() < deadline
        lose = False
        unseen = Unseen(folded_calls=1, flush_failures=1)
        sink.write(0.0, seen_of([observed(calls=12), observed(1, 3)], unseen, figure(calls=12)))
        sink.close()
    assert read(store) == fold([observed(calls=13), observed(1, 3)], unseen, [figure(calls=13)])


def test_of_many_upgrades_one_does_it(psycopg_url: str) -> None:
    with ThreadPoolExecutor(5) as threads:
        done = list(threads.map(lambda _: upgrade(psycopg_url), range(5)))
    assert sorted(done) == [("", tables.HEAD)] + 4 * [(tables.HEAD, tables.HEAD)]


def write_on(url: str, number: int, seconds: float) -> int:
    """Flush again and again, offering again what could not be written, as a flusher does; calls made."""
    sink = writer(url, number)
    pending: list[Observed] = []
    made, end = 0, time.monotonic() + seconds
    while time.monotonic() < end or pending:
        if time.monotonic() < end:
            pending.append(observed(made % 7, number))
            made += number
        try:
            sink.write(0.0, seen_of(pending))
            pending = []
        except StoreError:
            assert time.monotonic() < end + 30
    sink.close()
    return made


def test_writers_lose_nothing_while_the_store_goes_back_and_forth(store: str) -> None:
    """Ten processes write for three seconds; meanwhile tables are dropped and made, and others rolled up."""
    context = multiprocessing.get_context("fork")
    with context.Pool(10) as pool:
        made = [pool.apply_async(write_on, (store, number, 3.0)) for number in range(1, 11)]
        while not all(each.ready() for each in made):
            upgrade(store, "0001")
            upgrade(store)
            prune(store)
        total = sum(each.get() for each in made)
    assert calls(store) == total > 100
    assert info(store).processes == 10


def test_old_windows_are_rolled_up_and_their_partitions_dropped(
    store: str, watcher: Database, tmp_path: Path
) -> None:
    file = str(tmp_path / "old.sqlite")
    now = time.time()
    for age in (0, 3 * 3600, 5 * DAY, 5 * DAY + 60, 40 * DAY, 100 * DAY):
        writer(file, 7).write(now - age, seen_of([observed(calls=2), observed(1)], Unseen(1), figure()))
    watcher.execute(
        "create table dbperf.minute_20200101 partition of dbperf.minute for values from (0) to (60)"
    )
    merge(store, file)
    merge(store, file)
    expected = read(file)
    assert read(store) == expected
    done = prune(store)
    assert (done.minutes, done.days) == (15, 3)
    assert prune(store) == Pruned(0, 0, 0, 0)
    assert read(store) == fold([observed(calls=10), observed(1, 5)], Unseen(6), [figure(calls=5)])
    names = [
        name for (name,) in watcher.execute("select relname from pg_class where relname like 'minute%2%'")
    ]
    assert "minute_20200101" not in names
    assert len([name for name in names if not name.endswith("pkey")]) == 8  # today and a week ahead
    assert info(store).pruned_at
