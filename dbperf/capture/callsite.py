"""The line of the application that ran a statement: the first frame that is nobody's library."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType

import sqlalchemy

from dbperf.model.workload import CallSite
from dbperf.settings import Resolved

_FILES_KEPT = 10_000

# A frame of the application, and the bytecode offset it stands at. The line is looked up when it is
# read: in CPython 3.11 `frame.f_lineno` decodes the line table from the start and costs more than the walk.
Spot = tuple[CodeType, int]
Finder = Callable[[FrameType | None], Spot | None]


def finder(settings: Resolved, *, hop: bool = False) -> Finder:
    """A function that walks outwards from a frame to the first one of the application's own code.

    `hop`: when the stack ends, go on with the greenlets that started this one. SQLAlchemy's asyncio
    extension runs the engine in a greenlet of its own, so the awaiting coroutine is on its parent's stack.
    The function returns None when no frame is the application's.
    """
    is_app = _classifier(settings)
    known: dict[str, bool] = {}

    def find(frame: FrameType | None) -> Spot | None:
        while frame is not None:
            code = frame.f_code
            app = known.get(code.co_filename)
            if app is None:
                if len(known) >= _FILES_KEPT:  # generated file names; files of modules never get so many
                    known.clear()
                app = known[code.co_filename] = is_app(code.co_filename)
            if app:
                return code, frame.f_lasti
            frame = frame.f_back
        return None

    def find_across_greenlets(frame: FrameType | None) -> Spot | None:
        spot = find(frame)
        stacks = _stacks_below()
        while spot is None and (outer := next(stacks, None)) is not None:
            spot = find(outer)
        return spot

    return find_across_greenlets if hop else find


def _stacks_below() -> Iterator[FrameType]:
    greenlet = sys.modules["greenlet"]  # an async dialect cannot run a statement without it
    parent = greenlet.getcurrent().parent
    while parent is not None:
        if parent.gr_frame is not None:
            yield parent.gr_frame
        parent = parent.parent


def _classifier(settings: Resolved) -> Callable[[str], bool]:
    ignored, own = _folders(settings.ignore_prefixes), _folders(settings.app_prefixes)
    libraries = _folders(
        os.path.dirname(each) for each in (os.__file__, sqlalchemy.__file__, os.path.dirname(__file__))
    )

    def is_app(filename: str) -> bool:
        if filename.startswith("<"):  # <string>, <stdin>, <frozen importlib._bootstrap>
            return False
        path = os.path.abspath(filename) + os.sep
        if path.startswith(ignored):
            return False
        if path.startswith(own):
            return True
        installed = f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path
        return not installed and not path.startswith(libraries)

    return is_app


def _folders(paths: Iterator[str] | tuple[str, ...]) -> tuple[str, ...]:
    # The separator at the end: /srv/app is not a prefix of /srv/application.
    return tuple(os.path.abspath(path) + os.sep for path in paths)


def call_site(spot: Spot, calls: int) -> CallSite:
    """The file (absolute), line and function of a spot; a comprehension counts as its function."""
    code, offset = spot
    function = code.co_qualname.partition(".<locals>.<")[0]
    return CallSite(os.path.abspath(code.co_filename), _line(code, offset), function, calls)


def _line(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno
