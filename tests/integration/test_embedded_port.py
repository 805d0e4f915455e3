"""The port that was free a moment ago is taken: another one is tried."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dbperf.embedded import binaries, supervisor


class UntilReady(supervisor.Lease):
    """A lease over once the server has said that it is ready, with no signals and no pipe."""

    def __init__(self) -> None:
        self.ready = False

    def wait(self, done: Callable[[], bool], every: float | None = None) -> None:
        if self.ready:
            raise supervisor.LeaseEndedError
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_port_that_somebody_else_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = binaries.server_account()
    install = binaries.find_install(18, account)
    order = supervisor.Order(
        install=str(install.folder),
        libraries=str(install.libraries),
        copy=install.copy,
        version=18,
        account=account,
        user="postgres",
        auth="trust",
        password=None,
        listen=True,
        settings={},
    )
    lease = UntilReady()
    said: list[dict[str, object]] = []

    def say(**message: object) -> None:
        said.append(message)
        lease.ready = True

    monkeypatch.setattr(supervisor, "say", say)
    folder = Path(tempfile.mkdtemp(dir=supervisor.fit_parent(order)))
    try:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            free = supervisor.free_port()
            ports = iter([taken.getsockname()[1], free])
            monkeypatch.setattr(supervisor, "free_port", lambda: next(ports))
            with pytest.raises(supervisor.LeaseEndedError):
                supervisor.serve(lease, order, folder)
    finally:
        supervisor.remove(folder)
    assert [message["port"] for message in said] == [free]
