"""What a shape is, and what its comments expect."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

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
    `# DBP401 selectinload(User.posts)`; `# parents` marks the line that the fix belongs to.
    """

    name: str
    run: Callable[[Any], Any]
    dialects: tuple[str, ...]
    expected: tuple[Expected, ...]

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.run)

    @property
    def codes(self) -> set[str]:
        """What is to be found, without where."""
        return {each.code for each in self.expected}

    def run_on(
        self, url: sa.URL, watched: Callable[[Any], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """Run it once on an engine of its own, all of it within `watched(engine)`."""
        if self.is_async:
            asyncio.run(self._run_async(url, watched))
            return
        engine = sa.create_engine(url)
        try:
            with watched(engine), Session(engine) as session:
                self.run(session)
        finally:
            engine.dispose()

    async def _run_async(self, url: sa.URL, watched: Callable[[Any], AbstractContextManager[object]]) -> None:
        driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[url.get_backend_name()]
        engine = create_async_engine(url.set(drivername=driver))
        try:
            with watched(engine):
                async with AsyncSession(engine) as session:
                    await self.run(session)
        finally:
            await engine.dispose()


def shape(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Register a function as a shape."""
    return on("sqlite", "postgresql")(function)


def on(*dialects: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register a function as a shape that is one on some dialects only."""

    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        SHAPES.append(Shape(function.__name__, function, dialects, tuple(_expected(function))))
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
