"""What a shape is, and what its comments expect."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import dbperf
from dbperf.advice.usage import on_usage
from dbperf.model.recommendation import Recommendation

DIALECTS = ("sqlite", "postgresql")
SHAPES: list[Shape] = []


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding: its code, a text in what it says to write, its line, and that which loads the parents."""

    code: str
    text: str
    line: int
    parents: int | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A function of a session, sync or async. A trailing comment of a line says what is to be found there:
    `# DBP401 selectinload(User.posts)`; `# parents` marks the line that the fix belongs to. It takes so many
    `runs` to see it. Of `few` it is only the number that makes nothing of it, and other tools may count
    otherwise.
    """

    name: str
    function: Callable[[Any], Any]
    dialects: tuple[str, ...]
    runs: int
    few: bool
    expected: tuple[Expected, ...]

    @property
    def codes(self) -> set[str]:
        """What is to be found, without where."""
        return {each.code for each in self.expected}

    def run(self, url: sa.URL) -> None:
        """Run it once, on an engine of its own."""
        with self._engine(url) as (_, run):
            run()

    @contextmanager
    def _engine(self, url: sa.URL) -> Iterator[tuple[sa.Engine | AsyncEngine, Callable[[], None]]]:
        """An engine, and the function that runs the shape on it."""
        if not inspect.iscoroutinefunction(self.function):
            engine = sa.create_engine(url)
            yield engine, lambda: self._run(engine)
            engine.dispose()
            return
        driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[url.get_backend_name()]
        # Each run has an event loop of its own, which no connection may outlive.
        awaited = create_async_engine(url.set(drivername=driver), poolclass=NullPool)
        yield awaited, lambda: asyncio.run(self._await(awaited))

    def _run(self, engine: sa.Engine) -> None:
        with Session(engine) as session:
            self.function(session)

    async def _await(self, engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            await self.function(session)


def findings(shape: Shape, url: sa.URL) -> tuple[Recommendation, ...]:
    """What dbperf says of a shape, each run of which is an operation."""
    with shape._engine(url) as (engine, run):
        perf = dbperf.instrument(engine)
        for _ in range(shape.runs):
            with dbperf.track(shape.name):
                run()
        perf.close()
    return on_usage(perf.workload())


def shape(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Register a function as a shape."""
    return shaped()(function)


def shaped(
    *dialects: str, runs: int = 1, few: bool = False
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register a function as a shape that is one on some dialects only, or takes several runs."""

    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        expected = tuple(_expected(function))
        SHAPES.append(Shape(function.__name__, function, dialects or DIALECTS, runs, few, expected))
        return function

    return register


def _expected(function: Callable[[Any], Any]) -> list[Expected]:
    lines, start = inspect.getsourcelines(function)
    comments = [(start + number, line.partition("  # ")[2].strip()) for number, line in enumerate(lines)]
    parents = next((line for line, comment in comments if comment == "parents"), None)
    found = []
    for line, comment in comments:
        for each in comment.split("; ") if comment.startswith("DBP") else ():
            code, _, text = each.partition(" ")
            assert re.fullmatch(r"DBP4\d\d", code)
            found.append(Expected(code, text, line, parents if code == "DBP401" else None))
    return found
