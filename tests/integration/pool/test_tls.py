"""The pool over TLS. The wheel's PostgreSQL cannot do it, so this is Debian's, as in the acceptance tests."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from applications import (
    DRIVERS,
    Application,
    application,
    assert_nothing_lost,
    assert_times_out,
    assert_works_again,
)
from proxy import Proxy
from sqlalchemy import Engine, make_url, text

from dbperf.embedded import Server, start
from dbperf.embedded.binaries import server_account
from dbperf.pool import adaptive

DEBIAN_15 = Path("/usr/lib/postgresql/15")
INSTALLED = (DEBIAN_15 / "bin/postgres").exists() or os.environ.get("DBPERF_TEST_POSTGRES15") == "required"
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="PostgreSQL 15 is not installed"),
    pytest.mark.once,
]

TIMEOUT = 1.0
SIZE = 3
SELF_SIGNED = (
    "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=here"
)
Begin = Callable[[int], Application]


@pytest.fixture(scope="module")
def secure() -> Iterator[Server]:
    """A server on a port, with a certificate that nobody can check."""
    with tempfile.TemporaryDirectory(prefix="dbperf-tls-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        key, certificate = folder / "key", folder / "certificate"
        subprocess.run(
            [*SELF_SIGNED.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
        if (account := server_account()) is not None:
            for file in (key, certificate):
                os.chown(file, *account)
        settings = {"ssl": "on", "ssl_key_file": str(key), "ssl_cert_file": str(certificate)}
        with start(install=DEBIAN_15, settings=settings, listen=True) as running:
            yield running


@pytest.fixture
def proxy(secure: Server) -> Iterator[Proxy]:
    with Proxy((secure.host, secure.port)) as running:
        yield running


@pytest.fixture(params=list(DRIVERS))
def begin(request: pytest.FixtureRequest, secure: Server) -> Iterator[Begin]:
    """Start a program that connects to this port, and with TLS alone."""
    begun: list[Application] = []

    def begin(port: int) -> Application:
        word = "ssl" if DRIVERS[request.param] == "asyncpg" else "sslmode"
        url = make_url(secure.url()).set(port=port).update_query_dict({word: "require"})
        sizes = {"pool_size": SIZE, "max_overflow": 0, "pool_timeout": TIMEOUT}
        begun.append(application(request.param, url, **sizes, pool_pre_ping=True, alive_bypass=0.0))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


def test_it_is_used_as_any_other(begin: Begin, proxy: Proxy) -> None:
    app = begin(proxy.port)

    def encrypted(engine: Engine) -> bool:
        with engine.connect() as connection:
            asked = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return bool(connection.execute(asked).scalar_one())

    assert all(app.at_once(encrypted, 4 * SIZE))
    assert_nothing_lost(app, SIZE)


def test_a_reset_costs_nobody_a_checkout(begin: Begin, proxy: Proxy) -> None:
    app = begin(proxy.port)
    before = app.pids(SIZE)
    proxy.reset()
    assert not set(app.pids(SIZE)) & set(before)
    assert_nothing_lost(app, SIZE)


def test_idle_connections_go_dark(begin: Begin, proxy: Proxy) -> None:
    app = begin(proxy.port)
    app.pids(SIZE)
    proxy.blackhole()
    assert_times_out(app, TIMEOUT, 2 * SIZE)
    proxy.pass_through()
    assert_works_again(app, TIMEOUT)
    assert_nothing_lost(app, SIZE)


def test_dark_from_the_beginning(begin: Begin, proxy: Proxy) -> None:
    app = begin(proxy.port)
    proxy.blackhole()
    assert_times_out(app, TIMEOUT, 2 * SIZE)
    proxy.pass_through()
    assert_works_again(app, TIMEOUT)
    assert_nothing_lost(app, SIZE)


@pytest.fixture
def half_shaken() -> Iterator[int]:
    """The port of a server that agrees to TLS, and says nothing more."""
    agreed: list[socket.socket] = []

    def agree() -> None:
        with suppress(OSError):  # the test is over
            while True:
                one, _ = listener.accept()
                agreed.append(one)
                one.recv(8)  # SSLRequest
                one.sendall(b"S")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=agree, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in agreed:
        each.close()


def test_dark_within_the_handshake(begin: Begin, half_shaken: int) -> None:
    app = begin(half_shaken)
    assert_times_out(app, TIMEOUT, 2 * SIZE)
    line = app.pool._line
    assert (line.busy, line.connecting, len(line.waiters)) == (0, 0, 0)


def test_dispose_ends_while_it_is_dark(begin: Begin, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the driver says goodbye: TLS has a goodbye of its own."""
    monkeypatch.setattr(adaptive, "_GOODBYE", 0.3)
    app = begin(proxy.port)
    app.pids(SIZE)
    proxy.blackhole()
    app.do(lambda engine: engine.dispose())
    assert app.pool.checkedin() == 0
    proxy.pass_through()
    assert_nothing_lost(app, SIZE)
