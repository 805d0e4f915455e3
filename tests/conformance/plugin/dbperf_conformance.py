"""The pytest plugin of both runs: writes down how tests end and, in one of them, instruments every engine, or
puts dbperf's pools in the place of SQLAlchemy's.

It stands in a folder of its own, because that folder is on the import path of the suites' tests.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import weakref
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TextIO

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, help="the file to write, one line of JSON an event")
    parser.addoption("--instrumented", action="store_true", help="instrument every engine with dbperf")
    parser.addoption("--pools", action="store_true", help="use dbperf's pools for SQLAlchemy's")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--outcomes").open("w", encoding="utf-8", buffering=1)
    config.pluginmanager.register(Outcomes(file))
    if config.getoption("--instrumented"):
        config.pluginmanager.register(Instrumented(file))
    if config.getoption("--pools"):
        config.pluginmanager.register(Pools(file))


class Outcomes:
    """One line for each phase of a test: its id, the phase, what came of it, the exception's type."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        outcome = f"x{report.outcome}" if hasattr(report, "wasxfail") else report.outcome
        raised = call.excinfo.typename if call.excinfo else ""
        print(json.dumps([report.nodeid, report.when, outcome, raised]), file=self.file)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            print(json.dumps([report.nodeid, "collection", "failed", ""]), file=self.file)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        print(json.dumps(["finished"]), file=self.file)


class Warnings(logging.Handler):
    """What dbperf has to say is part of how a test ends: it says so when it fails and switches itself off."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(logging.WARNING)
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        print(json.dumps([test, "dbperf", "warning", record.getMessage()]), file=self.file)


class Instrumented:
    """Every engine is instrumented as soon as it is made. What was seen of it is counted when it goes."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.engines = self.statements = 0
        self.finalizers: list[weakref.finalize[..., Any]] = []
        logging.getLogger("dbperf").addHandler(Warnings(file))
        _replace_create_engine(self.follow)

    def follow(self, engine: Any) -> None:
        import sqlalchemy

        import dbperf

        if not isinstance(engine, sqlalchemy.Engine):  # strategy="mock"
            return
        capture = dbperf.instrument(engine)._capture
        if capture is None:  # and dbperf has warned
            return
        self.engines += 1
        self.finalizers.append(weakref.finalize(capture, self.count, capture.observations))
        if len(self.finalizers) % 100 == 0:
            self.finalizers = [each for each in self.finalizers if each.alive]

    def count(self, observations: Any) -> None:
        seen = observations.seen()
        self.statements += sum(each.calls for each in seen.observed) + seen.unseen.folded_calls

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        for each in self.finalizers:
            each()
        print(json.dumps(["instrumented", self.engines, self.statements]), file=self.file)


class Pools:
    """QueuePool and AsyncAdaptedQueuePool are dbperf's pools, with SQLAlchemy's names and defaults.

    Under those names dialects choose them, tests make them and `isinstance` finds them.
    """

    def __init__(self, file: TextIO) -> None:
        from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

        from dbperf.pool import AdaptivePool, AsyncAdaptivePool

        self.file = file
        self.pools = self.checkouts = 0
        logging.getLogger("dbperf").addHandler(Warnings(file))
        _replace(QueuePool, self.counted(QueuePool, AdaptivePool))
        _replace(AsyncAdaptedQueuePool, self.counted(AsyncAdaptedQueuePool, AsyncAdaptivePool))

    def counted(self, original: Any, ours: Any) -> Any:
        plugin = self

        def make(
            self: Any,
            creator: Any,
            pool_size: int = 5,
            max_overflow: int = 10,
            timeout: float = 30.0,
            use_lifo: bool = False,
            **kw: Any,
        ) -> None:
            plugin.pools += 1
            # Some tests count pings: they want one also where a connection was used just before.
            kw.setdefault("alive_bypass", 0.0)
            ours.__init__(self, creator, pool_size, max_overflow, timeout, use_lifo, **kw)

        def get(self: Any) -> Any:
            plugin.checkouts += 1
            return ours._do_get(self)

        # The module is part of the name under which a pool logs.
        body = {"__init__": make, "_do_get": get, "__module__": original.__module__}
        return type(original.__name__, (ours,), body)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        print(json.dumps(["instrumented", self.pools, self.checkouts]), file=self.file)


def _replace_create_engine(follow: Callable[[Any], None]) -> None:
    """As `dbperf record` does it: all functions that make an engine, sync or async, end in this one."""
    import sqlalchemy.ext.asyncio

    original = sqlalchemy.create_engine

    @functools.wraps(original)
    def create_engine(*args: Any, **kw: Any) -> Any:
        try:
            engine = original(*args, **kw)
        except BaseException as error:  # the traceback is the one that the test would see without us
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            raise
        follow(engine)
        return engine

    _replace(original, create_engine)


def _replace(original: Any, by: Any) -> None:
    """Wherever a module of SQLAlchemy has it."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "sqlalchemy":
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, by)
