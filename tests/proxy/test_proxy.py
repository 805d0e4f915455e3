from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from proxy import Proxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """The address of a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(one: socket.socket) -> None:
        with one:
            try:
                while data := one.recv(65536):
                    one.sendall(data)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(one,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    with Proxy(echo) as running:
        yield running


def opened(proxy: Proxy, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)


def asked(one: socket.socket, data: bytes) -> bytes:
    one.sendall(data)
    return received(one, len(data))


def received(one: socket.socket, length: int) -> bytes:
    got = b""
    while len(got) < length:
        got += one.recv(65536)
    return got


def test_passes_through_and_the_end_too(proxy: Proxy) -> None:
    with opened(proxy) as one:
        assert asked(one, b"x" * 300_000) == b"x" * 300_000
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""


def test_a_blackhole_keeps_what_it_gets(proxy: Proxy) -> None:
    with opened(proxy, timeout=0.1) as before:
        assert asked(before, b"0") == b"0"
        proxy.blackhole()
        with opened(proxy, timeout=0.1) as since:
            for one in (before, since):
                one.sendall(b"held")
                with pytest.raises(TimeoutError):
                    one.recv(1)
            proxy.pass_through()
            for one in (before, since):
                one.settimeout(5.0)
                assert received(one, 4) == b"held"


def test_strands_what_was_there(proxy: Proxy) -> None:
    with opened(proxy, timeout=0.1) as before:
        assert asked(before, b"0") == b"0"
        proxy.strand()
        before.sendall(b"1")
        with opened(proxy) as since:
            assert asked(since, b"2") == b"2"
        proxy.pass_through()
        with pytest.raises(TimeoutError):
            before.recv(1)


@pytest.mark.parametrize("dark", [False, True])
def test_resets(proxy: Proxy, dark: bool) -> None:
    with opened(proxy) as one:
        assert asked(one, b"0") == b"0"
        if dark:
            proxy.blackhole()
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    proxy.pass_through()
    with opened(proxy) as one:
        assert asked(one, b"1") == b"1"


def test_refuses_new_connections_alone(proxy: Proxy) -> None:
    with opened(proxy) as one:
        assert asked(one, b"0") == b"0"
        for _ in range(2):
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                opened(proxy)
            assert asked(one, b"1") == b"1"
            proxy.listen()
            with opened(proxy) as other:
                assert asked(other, b"2") == b"2"


def test_a_delay_is_no_queue(proxy: Proxy) -> None:
    proxy.delay(0.05)
    with opened(proxy) as one:
        begin = time.monotonic()
        for number in range(100):
            one.sendall(b"%02d" % number)
        assert received(one, 200) == b"".join(b"%02d" % number for number in range(100))
        assert 0.1 <= time.monotonic() - begin < 1.0  # and not 100 times that
