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
    start = depth = 0
    for edge in _EDGE.finditer(plain):
        if edge.group() == ";" and depth <= 0:
            statements += _statement(sql, plain, start, edge.start())
            start, depth = edge.end(), 0
        else:
            depth += {"(": 1, ")": -1, ";": 0}[edge.group()]
    return statements + _statement(sql, plain, start, len(sql))


def _statement(sql: str, plain: str, start: int, end: int) -> list[tuple[str, int]]:
    kept = plain[start:end]
    first = start + len(kept) - len(kept.lstrip())
    last = start + len(kept.rstrip())
    if first >= last:
        return []
    return [(_without_meta(sql[first:last], plain[first:last]), 1 + sql.count("\n", 0, first))]


def _without_meta(sql: str, plain: str) -> str:
    """`sql` without the meta-command lines in the middle of it, which `plain` has blanked out."""
    parts: list[str] = []
    at = 0
    for line in _META.finditer(sql):
        if not plain[line.start() : line.end()].strip():
            parts.append(sql[at : line.start()])
            at = line.end() + 1
    return "".join([*parts, sql[at:]])
