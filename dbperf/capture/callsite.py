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
    the topmost of the parent greenlet; `inner` is the code right below. The line is looked up when it is
    read: in CPython 3.11 `frame.f_lineno` decodes the line table from the start and costs more than the walk.
    """

    code: CodeType
    lasti: int
    depth: int = 0
    inner: CodeType | None = None


Finder = Callable[[FrameType | None], Found | None]


def finder(settings: Resolved, *, hop: bool = False) -> Finder:
    """A function that walks outwards from a frame to the first one of the application's own code.

    Where no frame is (a thread that a library started, a program that is all libraries), the first one of a
    library is meant, which has no `inner`. `hop`: when the stack ends, go on with the greenlets that started
    this one. SQLAlchemy's asyncio extension runs the engine in a greenlet of its own, so the awaiting
    coroutine is on its parent's stack. The function returns None when there is neither.
    """
    whose = _classifier(settings)
    known: dict[str, _Code] = {}

    def find(frame: FrameType | None) -> Found | None:
        library: Found | None = None
        inner, depth = None, 0
        while frame is not None:
            code = frame.f_code
            kind = known.get(code.co_filename)
            if kind is None:
                if len(known) >= _FILES_KEPT:  # generated file names; files of modules never get so many
                    known.clear()
                kind = known[code.co_filename] = whose(code.co_filename)
            if kind:
                if kind is _Code.APP:
                    return Found(code, frame.f_lasti, depth, inner)
                library = library or Found(code, frame.f_lasti)
            frame, inner, depth = frame.f_back, code, depth + 1
        return library

    def find_across_greenlets(frame: FrameType | None) -> Found | None:
        found = library = find(frame)
        for number, stack in enumerate(_stacks_below()):
            if found and known.get(found.code.co_filename) is _Code.APP:
                return found
            found = find(stack)
            if found and number == 0:
                found = found._replace(depth=-found.depth)
            elif found:
                found = found._replace(inner=None)
            library = library or found
        return found if found and known.get(found.code.co_filename) is _Code.APP else library

    return find_across_greenlets if hop else find


def locator(settings: Resolved, *, hop: bool = False) -> Callable[[Slot], Site | None]:
    """A function that says which line runs a statement now; None where there is none.

    To be called by the function that the wrap calls. A line that was found before is known again by two
    frames at the same depth: walking the whole stack each time would cost ten times that.
    """
    find = finder(settings, hop=hop)
    again: Callable[[Site], bool] = _again_across_greenlets if hop else _again

    def locate(slot: Slot) -> Site | None:
        site = slot.site
        if site is not None:
            if again(site):
                return site
            # A program that is all libraries: its stacks are walked now and then.
            if not site.depth and slot.calls & _LIBRARY_ONE_IN - 1:
                return site
            for number, other in enumerate(slot.sites.values()):
                if again(other):
                    slot.site = other
                    return other
                if number == _TRIED:
                    break
        found = find(sys._getframe(1))
        if found is None:
            return None
        slot.site = site = slot.at(found.code, found.lasti)
        if site.code is found.code and found.inner is not None:
            site.depth, site.inner = found.depth, found.inner
        return site

    return locate


def _again(site: Site, between: int = 1) -> bool:
    """Whether a site runs its statement now; `between` are the frames from here to the one at depth 0."""
    if site.depth <= 0:
        return False
    try:
        frame = sys._getframe(site.depth + between)
    except ValueError:  # the stack is not that deep
        return False
    return _is_inner(frame, site)


def _again_across_greenlets(site: Site) -> bool:
    if site.depth >= 0:
        return _again(site, 2)
    frame = sys.modules["greenlet"].getcurrent().parent.gr_frame
    for _ in range(-site.depth - 1):
        if frame is None:
            return False
        frame = frame.f_back
    return frame is not None and _is_inner(frame, site)


def _is_inner(frame: FrameType, site: Site) -> bool:
    if frame.f_code is not site.inner:
        return False
    outer = frame.f_back
    return outer is not None and outer.f_code is site.code and outer.f_lasti == site.lasti


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
    return CallSite(os.path.abspath(code.co_filename), _line(code, lasti), function, calls)


def _line(code: CodeType, lasti: int) -> int:
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno
