"""Who holds connections, since when, and which lines took them."""

from __future__ import annotations

import os
import sysconfig
import threading
from asyncio import current_task
from collections.abc import Iterable, Iterator
from sys import _getframe
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

import sqlalchemy
from greenlet import getcurrent

from dbperf.model.codelines import line_of

_SHOWN = 5
_OURS = os.path.dirname(os.path.dirname(__file__))
_MACHINERY = (
    os.path.dirname(sqlalchemy.__file__) + os.sep,
    *(os.path.join(_OURS, part) + os.sep for part in ("pool", "capture")),
    "<sqlalchemy generated",  # wrappers of a Session's methods; in 2.0 they say no more than "<string>"
    "<string>",
)
_STANDARD = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (
    f"{os.sep}site-packages{os.sep}",
    f"{os.sep}dist-packages{os.sep}",
    sysconfig.get_path("scripts") + os.sep,
)

Stack = tuple[CodeType | int, ...]
"""Code and instruction of each frame in turn, five at most, from the first that is neither SQLAlchemy's nor
ours on: what a line is found by, later, if ever. Holds no frame, and so nobody's variables.
"""


class _Machinery(dict[str, bool]):
    """Whether a file is SQLAlchemy's or ours; looked up more than a million times a second."""

    def __missing__(self, file: str) -> bool:
        found = self[file] = file.startswith(_MACHINERY)
        return found


_of_machinery = _Machinery().__getitem__


Holder = tuple[float, Any, Stack]
"""One use of a connection: since when (monotonic()), whose (a thread's identity, or an asyncio task), and
where it was taken. A tuple: one is made for every checkout.
"""


def stack_of(frame: FrameType | None) -> Stack:
    """Where a stack stands, without what SQLAlchemy and we add to it."""
    # Taken at each checkout, and next to never read. A loop would cost as much again as these lines do.
    first: Any = frame
    try:
        while _of_machinery((code := first.f_code).co_filename):
            first = first.f_back
        second = first.f_back
        third = second.f_back
        fourth = third.f_back
        fifth = fourth.f_back
        return (
            code,
            first.f_lasti,
            second.f_code,
            second.f_lasti,
            third.f_code,
            third.f_lasti,
            fourth.f_code,
            fourth.f_lasti,
            fifth.f_code,
            fifth.f_lasti,
        )
    except AttributeError:  # there are fewer
        return _all_of(first)


def _all_of(frame: FrameType | None) -> Stack:
    stack: Stack = ()
    while frame is not None:
        stack += (frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return stack


def taken_by_thread(now: float) -> Holder:
    """This thread takes a connection. To be called by the pool's `_do_get`."""
    try:
        # Its three callers are SQLAlchemy's: to look at them costs as much as all that follows.
        frame = _getframe(5)
    except ValueError:  # called by somebody else
        frame = _getframe(1)
    return now, get_ident(), stack_of(frame)


def taken_by_task(now: float) -> Holder:
    """This task does; the coroutine's stack is that of the greenlet which runs SQLAlchemy's."""
    parent = getcurrent().parent
    try:
        task = current_task()
    except RuntimeError:  # no loop is running: SQLAlchemy will say so
        task = None
    return now, task, stack_of(parent.gr_frame if parent is not None else None)


def lines(stack: Stack) -> Iterator[tuple[str, int, str]]:
    """File, line and function of each frame, innermost first."""
    for code, lasti in zip(stack[::2], stack[1::2], strict=True):
        if isinstance(code, CodeType) and isinstance(lasti, int):
            yield os.path.abspath(code.co_filename), line_of(code, lasti), code.co_qualname


def site(stack: Stack) -> tuple[str, int, str]:
    """The line of the application that took a connection; of whatever there is where none is."""
    for file, line, function in lines(stack):
        library = any(part in file for part in _INSTALLED)
        generated = os.path.basename(file).startswith("<")
        if not library and not generated and not file.startswith(_STANDARD):
            return file, line, function
    return next(lines(stack), ("", 0, ""))


def written(stack: Stack) -> str:
    """A stack as a traceback has it: the innermost frame last."""
    told = [f'  File "{file}", line {line}, in {function}' for file, line, function in lines(stack)]
    return "\n".join(reversed(told))


def described(holders: Iterable[Holder], now: float) -> str:
    """Those that have held longest, in one line."""
    longest = sorted(holders, key=lambda each: each[0])
    told = [f"{_who(each)} for {now - each[0]:.1f} s{_where(each)}" for each in longest[:_SHOWN]]
    more = len(longest) - _SHOWN
    return ", ".join([*told, f"and {more:,} more"] if more > 0 else told) or "nobody"


def _who(holder: Holder) -> str:
    who = holder[1]
    if isinstance(who, int):
        return next((each.name for each in threading.enumerate() if each.ident == who), "an ended thread")
    return str(who.get_name()) if who is not None else "a task"


def _where(holder: Holder) -> str:
    file, line, function = site(holder[2])
    return f" ({_short(file)}:{line} {function})" if file else ""


def _short(file: str) -> str:
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # no working directory, or another drive
        return file
    return file if relative.startswith("..") else relative
