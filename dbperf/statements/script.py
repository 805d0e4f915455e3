"""SQL scripts: files of statements, as psql and pgbench read them."""

from __future__ import annotations

import re

from dbperf.statements.lexer import code

_EDGE = re.compile(r"[;()]")
_META = re.compile(r"^[ \t]*\\(?:\\\n|[^\n])*", re.MULTILINE)


def split(sql: str) -> list[tuple[str, int]]:
    """The statements of a script, each with the 1-based number of the line it starts on.

    They end at a `;` outside strings, comments and parentheses. Comments around a statement, empty
    statements and the meta-commands of psql and pgbench (lines that start with a backslash) are dropped.
    """
    plain = code(sql)
    statements: list[tuple[str, int]] = []
    start = depth = counted = 0
    line = 1
    for edge in (*_EDGE.finditer(plain), None):
        if edge and (edge.group() != ";" or depth > 0):
            depth += {"(": 1, ")": -1, ";": 0}[edge.group()]
            continue
        first, last = _inner(plain, start, edge.start() if edge else len(sql))
        if first < last:
            line += sql.count("\n", counted, first)
            counted = first
            statements.append((_without_meta(sql[first:last], plain[first:last]), line))
        start, depth = edge.end() if edge else len(sql), 0
    return statements


def _inner(plain: str, start: int, end: int) -> tuple[int, int]:
    """Where the statement between two edges starts and ends, without the blanks around it."""
    kept = plain[start:end]
    return start + len(kept) - len(kept.lstrip()), start + len(kept.rstrip())


def _without_meta(sql: str, plain: str) -> str:
    """`sql` without the meta-command lines in the middle of it, which `plain` has blanked out."""
    parts: list[str] = []
    at = 0
    for line in _META.finditer(sql):
        if not plain[line.start() : line.end()].strip():
            parts.append(sql[at : line.start()])
            at = line.end() + 1
    return "".join([*parts, sql[at:]])
