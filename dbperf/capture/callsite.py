"""The line of the application that ran a statement: the first frame that is no library's."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from enum import IntEnum
from types import CodeType, FrameType
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy

from dbperf.model.codelines import line_of
from dbperf.model.workload import CallSite
from dbperf.settings import Resolved

if TYPE_CHECKING:
    from dbperf.capture.slot import Site, Slot

_FILES_KEPT = 10_000
_LIBRARY_ONE_IN = 16
_OF_OURS = ("capture", "integrations")
"""What of dbperf is on the stack of a statement; the example shop, too, is installed in dbperf's folder."""
_TRIED = 8
"""Sites of a statement that are tried before its stack is walked."""


class _Code(IntEnum):
    """Whose code a file holds."""

    NOBODY = 0  # SQLAlchemy, the standard library, dbperf, generated code: never a call site
    LIBRARY = 1
    APP = 2


class Found(NamedTuple):
    """A frame that is a call site. `depth` is how far above the frame that was asked for, or, negative, above
    the topmost of the parent greenlet; 0 where it cannot be found so.

    The line is looked up when it is read: in CPython 3.11 `frame.f_lineno` decodes the line table from the
    start and costs more than the walk.
    """

    code: CodeType
    lasti: int
    depth: int = 0


Finder = Callable[[FrameType | None], Found | None]
FrameAt = Callable[[int], FrameType]


def finder(settings: Resolved, *, hop: bool = False) -> Finder:
    """A function that walks outwards from a frame to the first one of the application's own code.

    Where no frame is (a thread that a library started, a program that is all libraries), the first one of a
    library is meant, whose depth is 0. `hop`: when the stack ends, go on with the greenlets that started this
    one. SQLAlchemy's asyncio extension runs the engine in a greenlet of its own, so the awaiting coroutine is
    on its parent's stack. The function returns None when there is neither.
    """
    whose = _classifier(settings)
    known: dict[str, _Code] = {}

    def find(frame: FrameType | None) -> Found | None:
        library: Found | None = None
        depth = 0
        while frame is not None:
            code = frame.f_code
            kind = known.get(code.co_filename)
            if kind is None:
                if len(known) >= _FILES_KEPT:  # generated file names; files of modules never get so many
                    known.clear()
                kind = known[code.co_filename] = whose(code.co_filename)
            if kind is _Code.APP:
                return Found(code, frame.f_lasti, depth)
            if kind:
                library = library or Found(code, frame.f_lasti)
            frame, depth = frame.f_back, depth + 1
        return library

    def find_across_greenlets(frame: FrameType | None) -> Found | None:
        found = library = find(frame)
        for number, stack in enumerate(_stacks_below()):
            if found and known.get(found.code.co_filename) is _Code.APP:
                return found
            if found := find(stack):
                found = found._replace(depth=0 if number else -found.depth)
            library = library or found
        return found if found and known.get(found.code.co_filename) is _Code.APP else library

    return find_across_greenlets if hop else find


def frame_at(*, hop: bool = False) -> FrameAt:
    """A function that returns the frame at the `depth` of a Found, as seen from its caller.

    It raises ValueError or AttributeError where the stack is not that deep.
    """
    if not hop:
        return sys._getframe  # a function in C has no frame: its caller's is at 0
    try:
        from greenlet import getcurrent
    except ImportError:  # then an async dialect cannot run a statement
        return sys._getframe

    def across(depth: int) -> FrameType:
        if depth >= 0:
            return sys._getframe(depth + 1)
        frame = getcurrent().parent.gr_frame
        while depth:
            frame, depth = frame.f_back, depth + 1
        return frame  # type: ignore[no-any-return]

    return across


def locator(settings: Resolved, *, hop: bool = False) -> Callable[[Slot], Site | None]:
    """A function that says which line runs a statement now; None where there is none.

    Its caller's frame is at depth 0. A line that was found before stands at the same depth again, as a rule:
    walking the whole stack each time would cost ten times that look.
    """
    find, at = finder(settings, hop=hop), frame_at(hop=hop)

    def locate(slot: Slot) -> Site | None:
        site = slot.site
        # A program that is all libraries: its stacks are walked now and then.
        if site is not None and not site.depth and slot.calls % _LIBRARY_ONE_IN:
            return site
        for number, other in enumerate(slot.sites.values()):
            if other.depth and _runs_now(other, at):
                slot.site = other
                return other
            if number == _TRIED:
                break
        found = find(sys._getframe(1))
        if found is None:
            return None
        slot.site = site = slot.at(found.code, found.lasti)
        if site.code is found.code:
            site.depth = found.depth
        return site

    return locate


def _runs_now(site: Site, at: FrameAt) -> bool:
    """Whether a site is where it was; this function and `locate` stand before the frame at depth 0."""
    try:
        frame = at(site.depth + 2 if site.depth > 0 else site.depth)
        return frame.f_code is site.code and frame.f_lasti == site.lasti
    except (AttributeError, ValueError):
        return False


def _stacks_below() -> Iterator[FrameType]:
    from greenlet import getcurrent

    parent = getcurrent().parent
    while parent is not None:
        if parent.gr_frame is not None:
            yield parent.gr_frame
        parent = parent.parent


def _classifier(settings: Resolved) -> Callable[[str], _Code]:
    ignored, own = _folders(settings.ignore_prefixes), _folders(settings.app_prefixes)
    # site-packages lies inside the standard library's folder, as a rule: that one is asked last.
    standard = _folders((os.path.dirname(os.__file__),))
    commands = _folders((sysconfig.get_path("scripts"),))
    ours = os.path.dirname(os.path.dirname(__file__))
    nobody = _folders((os.path.dirname(sqlalchemy.__file__), *(f"{ours}/{each}" for each in _OF_OURS)))

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


def call_site(code: CodeType, lasti: int, calls: int) -> CallSite:
    """The file (absolute), line and function of a place in code; a comprehension counts as its function."""
    function = code.co_qualname.partition(".<locals>.<")[0]
    return CallSite(os.path.abspath(code.co_filename), line_of(code, lasti), function, calls)
