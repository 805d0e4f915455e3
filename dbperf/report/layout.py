"""Text laid out in terminal cells: what the terminal renderer is made of.

All text of a report comes from somebody's SQL, file names and database. `printable` is the gate it passes:
behind it nothing can move the cursor, set a colour, or reorder the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.style import Style
from rich.text import Text

LABEL = "dim"
"""The style of what only accompanies."""

_ELLIPSIS = "…"
_LONGEST = 1000
_BRACKETS = re.compile(r"[()]|\bFROM\b", re.IGNORECASE)


def printable(text: str) -> str:
    """The text with every character that does not print (control, bidi, surrogate) as its escape."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


@lru_cache(1024)
def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """The text on one line, printable, runs of white space as one space."""
    return printable(" ".join(text.split()))


def clipped(text: str, width: int) -> str:
    """The text within `width` cells, its end cut off."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + _ELLIPSIS


def clipped_left(text: str, width: int) -> str:
    """The text within `width` cells, its beginning cut off: the end of a path says more."""
    if cell_len(text) <= width:
        return text
    return _ELLIPSIS + set_cell_size(text[::-1], width - 1).rstrip()[::-1]


def clipped_middle(text: str, width: int) -> str:
    """The text within `width` cells, its middle cut out: of a name, both ends tell something."""
    if cell_len(text) <= width:
        return text
    head = clipped(text, width // 3)
    return head + clipped_left(text, width - cell_len(head) + 1).removeprefix(_ELLIPSIS)


def short_sql(sql: str, width: int) -> str:
    """A statement on one line within `width` cells; a long SELECT list goes before its FROM and WHERE do."""
    line = one_line(sql)
    if cell_len(line) > width and line[:7].upper() == "SELECT ":
        line = f"{line[:6]} {_ELLIPSIS} {line[start:]}" if (start := _top_level_from(line)) else line
    return clipped(line, width)


def folded(text: str, width: int) -> Iterator[str]:
    """The words of one line of text in lines of `width` cells; only a word wider than a line is broken."""
    line, used = "", 0
    for word in text.split():
        pieces = [word] if cell_len(word) <= width else chop_cells(word, width)
        for piece in pieces:
            length = cell_len(piece)
            if line and used + 1 + length > width:
                yield line
                line, used = "", 0
            line, used = (f"{line} {piece}", used + 1 + length) if line else (piece, length)
    if line:
        yield line


def paragraph(text: str, width: int, first: Text | str = "", style: str | Style = "") -> Iterator[Text]:
    """Untrusted text folded behind the prefix `first`; further lines are indented as far.

    A paragraph ends after 1,000 cells: an error message that quotes a megabyte of SQL is not prose.
    """
    prefix = Text(first) if isinstance(first, str) else first
    for line in folded(clipped(one_line(text), _LONGEST), width - prefix.cell_len):
        yield prefix + Text(line, style)
        prefix = Text(" " * prefix.cell_len)


def code_lines(text: str) -> list[str]:
    """The lines of code as they are, printable, without what is blank around them."""
    return [printable(line.rstrip().expandtabs(4)) for line in text.strip().split("\n")]


def copyable(text: str, indent: int) -> Iterator[Text]:
    """Code to copy: its own lines, never folded or cut, however long."""
    for line in code_lines(text):
        yield Text(f"{' ' * indent}{line}", "bold")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: columns right-aligned, two spaces apart, all lines of one width."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(" " * (w - cell_len(c)) + c for c, w in zip(row, widths, strict=True)) for row in rows]


def _top_level_from(line: str) -> int:
    """Where the outermost FROM stands, 0 if nowhere. Quotes are not read: this only shortens a display."""
    depth = 0
    for match in _BRACKETS.finditer(line):
        if match[0] in "()":
            depth += 1 if match[0] == "(" else -1
        elif depth == 0:
            return match.start()
    return 0
