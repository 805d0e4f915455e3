"""The pool under any order of what an application does with it.

The driver is a plain object, as in SQLAlchemy's own tests of pools.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import event, exc
from sqlalchemy.pool.base import _ConnDialect

from dbperf.pool import AdaptivePool

NEVER = 1e12
PICK = st.integers(0, 1_000_000)


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """pytest keeps what is logged: tracebacks, so frames, so connections that were to be forgotten."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class BrokenError(Exception):
    pass


class Interrupt(BaseException):
    """As KeyboardInterrupt, or a cancellation: no exception of the driver's."""


class Connection:
    def __init__(self, server: Server) -> None:
        self.server, self.broken = server, False
        server.open.add(self)

    def rollback(self) -> None:
        if self.broken:
            raise BrokenError

    def close(self) -> None:
        self.server.open.remove(self)
        if self.broken:
            raise BrokenError


class Server:
    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self.raises: BaseException | None = None

    def connect(self) -> Connection:
        if self.raises is not None:
            raise self.raises
        return Connection(self)


class Dialect(_ConnDialect):
    """What a pool asks of a dialect."""

    raises: BaseException | None = None

    def _do_ping_w_event(self, dbapi_connection: Any) -> bool:
        if self.raises is not None:
            raise self.raises
        return not dbapi_connection.broken


def still(pool: AdaptivePool) -> AdaptivePool:
    """Nobody looks after it, who would change its size meanwhile."""
    pool._looked_after = pool._hurried = True
    return pool


class Machine(RuleBasedStateMachine):
    options: ClassVar[dict[str, Any]] = {"pool_size": 2, "max_overflow": 2}

    def __init__(self) -> None:
        super().__init__()
        self.server, self.dialect = Server(), Dialect()
        self.pool = still(AdaptivePool(self.server.connect, timeout=0, dialect=self.dialect, **self.options))
        self.line = self.pool._line
        self.held: list[Any] = []
        self.detached: list[Any] = []
        self.listener_raises: BaseException | None = None
        event.listen(self.pool, "checkout", self._listen)

    def _listen(self, *_: object) -> None:
        if self.listener_raises is not None:
            raise self.listener_raises

    def _connect(self) -> None:
        """One checkout; what it raises must have a reason."""
        free, failed = self.line.busy < self.line.limit, self.line.failing is not None
        trouble = (self.server.raises, self.dialect.raises, self.listener_raises)
        try:
            self.held.append(self.pool.connect())
        except exc.TimeoutError:
            assert not free or failed or any(trouble), "it timed out with a permit free"
        except (BrokenError, Interrupt, exc.DisconnectionError, exc.InvalidRequestError):
            assert any(trouble)
        if self.line.failing is not None and self.line.retry_at:
            self.line.retry_at = NEVER  # when it is due is a rule's to say, not the clock's

    @rule()
    def checks_out(self) -> None:
        self._connect()

    @rule(raised=st.sampled_from([BrokenError, Interrupt]))
    def cannot_connect(self, raised: type[BaseException]) -> None:
        self.server.raises = raised()
        self._connect()
        self.server.raises = None

    @rule(raised=st.sampled_from([BrokenError, Interrupt, exc.DisconnectionError]))
    def a_listener_raises(self, raised: type[BaseException]) -> None:
        self.listener_raises = raised()
        self._connect()
        self.listener_raises = None

    @precondition(lambda self: self.line.failing is not None)
    @rule()
    def the_next_attempt_is_due(self) -> None:
        self.line.retry_at = 0.0

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def breaks(self, pick: int) -> None:
        self.held[pick % len(self.held)].dbapi_connection.broken = True

    @precondition(lambda self: self.line.idle)
    @rule(pick=PICK)
    def breaks_idle(self, pick: int) -> None:
        self.line.idle[pick % len(self.line.idle)].dbapi_connection.broken = True

    def _pop(self, pick: int) -> Any:
        return self.held.pop(pick % len(self.held))

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def returns(self, pick: int) -> None:
        self._pop(pick).close()

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def forgets(self, pick: int) -> None:
        self._pop(pick)  # the finalizer returns it

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def invalidates(self, pick: int) -> None:
        self._pop(pick).invalidate()

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def invalidates_softly(self, pick: int) -> None:
        self.held[pick % len(self.held)].invalidate(soft=True)

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def invalidates_all(self, pick: int) -> None:
        self.pool._invalidate(self._pop(pick))

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def detaches(self, pick: int) -> None:
        connection = self._pop(pick)
        # One whose rollback raises is left to the collector: SQLAlchemy closes no detached one then.
        connection.dbapi_connection.broken = False
        connection.detach()
        self.detached.append(connection)

    @precondition(lambda self: self.detached)
    @rule(pick=PICK)
    def closes_detached(self, pick: int) -> None:
        self.detached.pop(pick % len(self.detached)).close()

    @rule(limit=st.integers(1, 6))
    def resizes(self, limit: int) -> None:
        self.line.resize(limit)

    @rule()
    def disposes(self) -> None:
        self.pool.dispose()
        assert self.pool.checkedin() == 0

    @invariant()
    def permits_are_those_out(self) -> None:
        pool, line = self.pool, self.line
        assert pool.checkedout() == len(self.held) == len(pool._out)
        assert line.connecting == 0
        assert not line.waiters
        assert line.open == pool.checkedin() + pool.checkedout()

    @invariant()
    def the_server_has_those_of_the_pool(self) -> None:
        idle = [each.dbapi_connection for each in self.line.idle]
        there = idle + [each.dbapi_connection for each in self.held + self.detached]
        assert None not in there
        assert len(there) == len(set(there))
        assert set(there) == self.server.open
        assert all(each.dbapi_connection is None for each in self.line.spare)

    def teardown(self) -> None:
        for connection in self.held + self.detached:
            connection.close()
        self.pool.dispose()


class Pinging(Machine):
    options: ClassVar[dict[str, Any]] = {"pool_size": 2, "pre_ping": True, "alive_bypass": 0.0}


class Interrupted(Pinging):
    @rule(raised=st.sampled_from([BrokenError, Interrupt]))
    def pinging_is_interrupted(self, raised: type[BaseException]) -> None:
        self.dialect.raises = raised()
        self._connect()
        self.dialect.raises = None


class Default(Machine):
    options: ClassVar[dict[str, Any]] = {"max_size": 3}


for _machine in (Machine, Pinging, Interrupted, Default):
    _machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

TestSized, TestPinging, TestDefault = Machine.TestCase, Pinging.TestCase, Default.TestCase
TestInterrupted = Interrupted.TestCase


@pytest.mark.parametrize("raised", [BrokenError, Interrupt])
def test_a_connection_whose_ping_was_interrupted_is_closed(raised: type[BaseException]) -> None:
    server, dialect = Server(), Dialect()
    pool = still(AdaptivePool(server.connect, dialect=dialect, pre_ping=True, alive_bypass=0.0))
    pool.connect().close()
    dialect.raises = raised()
    with pytest.raises(raised):
        pool.connect()
    assert pool.checkedout() == 0
    assert not server.open


def test_a_connection_forgotten_in_a_cycle_comes_back_with_the_collector() -> None:
    server = Server()
    pool = still(AdaptivePool(server.connect, pool_size=1, max_overflow=0, timeout=0))
    cycle: list[Any] = [pool.connect()]
    cycle.append(cycle)
    del cycle
    with pytest.raises(exc.TimeoutError):
        pool.connect()
    gc.collect()
    assert pool.checkedout() == 0
    pool.connect().close()
    pool.dispose()


def test_a_connection_forgotten_in_another_pool_of_the_same_server_is_nobody_elses() -> None:
    server = Server()
    pool = still(AdaptivePool(server.connect, pool_size=1))
    held = pool.connect()
    new = pool.recreate()
    assert isinstance(new, AdaptivePool)
    pool.dispose()
    other = still(new).connect()
    del held
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)
    assert (new.checkedout(), new.checkedin()) == (1, 0)
    other.close()


@pytest.mark.parametrize("pool_size", [0, None])
def test_there_is_no_overflow_of_a_pool_without_a_size(pool_size: int | None) -> None:
    pool = still(AdaptivePool(Server().connect, pool_size=pool_size, max_size=4))
    held = [pool.connect() for _ in range(2)]
    assert pool.overflow() <= 0
    for each in held:
        each.close()


def test_who_waits_for_another_to_connect_does_not_spin() -> None:
    """After a failure one tries at a time; the others have nothing to do until it has, or has not."""
    server, connecting, go_on = Server(), Event(), Event()

    def connect() -> Connection:
        if pool._line.failing is not None:
            connecting.set()
            assert go_on.wait(10)
        return server.connect()

    pool = still(AdaptivePool(connect, pool_size=3, max_overflow=0))
    pool._line.failing, pool._line.retry_at = monotonic(), monotonic()
    served: list[Callable[[], None]] = []
    serve = pool._line.serve

    def count() -> None:
        served.append(serve)
        serve()
        if len(served) > 100:
            go_on.set()

    pool._line.serve = count  # type: ignore[method-assign]
    threads = [Thread(target=lambda: pool.connect().close()) for _ in range(2)]
    threads[0].start()
    assert connecting.wait(10)
    threads[1].start()
    spins = go_on.wait(0.2)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert not spins
