"""The line of the application that ran a statement: the first frame that is no library's."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from enum import IntEnum
from types import CodeType, FrameType

import sqlalchemy

from dbperf.model.workload import CallSite
from dbperf.settings import Resolved

_FILES_KEPT = 10_000

# A frame of the application, and the bytecode offset it stands at. The line is looked up when it is
# read: in CPython 3.11 `frame.f_lineno` decodes the line table from the start and costs more than the walk.
Spot = tuple[CodeType, int]
Finder = Callable[[FrameType | None], Spot | None]


class _Code(IntEnum):
    """Whose code a file holds."""

    NOBODY = 0  # SQLAlchemy, the standard library, dbperf, generated code: never a call site
    LIBRARY = 1
    APP = 2


def finder(settings: Resolved, *, hop: bool = False) -> Finder:
    """A function that walks outwards from a frame to the first one of the application's own code.

    Where no frame is (a thread that a library started, a program that is all libraries), the first one of
    a library is meant. `hop`: when the stack ends, go on with the greenlets that started this one.
    SQLAlchemy's asyncio extension runs the engine in a greenlet of its own, so the awaiting coroutine is on
    its parent's stack. The function returns None when there is neither.
    """
    whose = _classifier(settings)
    known: dict[str, _Code] = {}

    def find(frame: FrameType | None) -> Spot | None:
        library: Spot | None = None
        while frame is not None:
            code = frame.f_code
            kind = known.get(code.co_filename)
            if kind is None:
                if len(known) >= _FILES_KEPT:  # generated file names; files of modules never get so many
                    known.clear()
                kind = known[code.co_filename] = whose(code.co_filename)
            if kind:
                if kind is _Code.APP:
                    return code, frame.f_lasti
                library = library or (code, frame.f_lasti)
            frame = frame.f_back
        return library

    def find_across_greenlets(frame: FrameType | None) -> Spot | None:
        library: Spot | None = None
        for stack in (frame, *_stacks_below()):
            spot = find(stack)
            if spot and known.get(spot[0].co_filename) is _Code.APP:
                return spot
            library = library or spot
        return library

    return find_across_greenlets if hop else find


def _stacks_below() -> Iterator[FrameType]:
    greenlet = sys.modules["greenlet"]  # an async dialect cannot run a statement without it
    parent = greenlet.getcurrent().parent
    while parent is not None:
        if parent.gr_frame is not None:
            yield parent.gr_frame
        parent = parent.parent


def _classifier(settings: Resolved) -> Callable[[str], _Code]:
    ignored, own = _folders(settings.ignore_prefixes), _folders(settings.app_prefixes)
    # site-packages lies inside the standard library's folder, as a rule: that one is asked last.
    standard = _folders((os.path.dirname(os.__file__),))
    commands = _folders((sysconfig.get_path("scripts"),))
    nobody = _folders(os.path.dirname(each) for each in (sqlalchemy.__file__, os.path.dirname(__file__)))

    def whose(filename: str) -> _Code:
        if filename.startswith("<"):  # <string>, <stdin>, <frozen importlib._bootstrap>
            return _Code.NOBODY
        path = os.path.abspath(filename) + os.sep
        if path.startswith(ignored):
            return _Code.NOBODY
        if path.startswith(own):
            return _Code.APP
        if path.startswith(nobody):
            return _Code.NOBODY
        installed = f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path
        if installed or path.startswith(commands):  # bin/gunicorn is a library's, too
            return _Code.LIBRARY
        return _Code.NOBODY if path.startswith(standard) else _Code.APP

    return whose


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
