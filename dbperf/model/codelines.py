"""Lines of code, looked up when they are read: until then a code object and an instruction are kept."""

from __future__ import annotations

from types import CodeType


def line_of(code: CodeType, lasti: int) -> int:
    """The line of an instruction (a frame's `f_lasti`); that of the definition for one that has none."""
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno
