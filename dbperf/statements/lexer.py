"""Where the strings, quoted names and comments of a SQL text are, without knowing its grammar.

PostgreSQL's lexical rules (https://www.postgresql.org/docs/current/sql-syntax-lexical.html): `''` in
strings, backslashes in E'' strings, dollar quotes, nested block comments. A line that starts with a
backslash, a command to psql or pgbench, counts as a comment. An open quote goes to the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum


class Kind(Enum):
    """What a stretch of SQL text is."""

    STRING = "'"
    NAME = '"'
    COMMENT = " "


_OPENING = re.compile(
    r"""
      (?P<string> (?<![\w$])[eE]'(?:[^'\\]|\\.?|'')*+(?:'|\Z) | '(?:[^']|'')*+(?:'|\Z) )
    | (?P<name> "(?:[^"]|"")*+(?:"|\Z) | `[^`]*+` )
    | (?P<dollar> (?<![\w$])\$(?:[^\W\d]\w*)?\$ )
    | (?P<block> /\* )
    | (?P<comment> --[^\r\n]*+ | ^[ \t]*+\\(?:\\\n|[^\n])*+ )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_GLUED = re.compile(r"(?<![\w$])\$\d+(?=([^\s$]*)\$)")


def words(text: str) -> frozenset[str]:
    """The words of `text`, as a set of keywords."""
    return frozenset(text.split())


def opaque(sql: str) -> Iterator[tuple[Kind, int, int]]:
    """The stretches of `sql` that are no code: kind, start, end (exclusive), in the order of the text."""
    at = 0
    while found := _OPENING.search(sql, at):
        at = found.end()
        match found.lastgroup:
            case "string":
                kind = Kind.STRING
            case "name":
                kind = Kind.NAME
            case "dollar":
                kind = Kind.STRING
                close = sql.find(found.group(), at)
                at = len(sql) if close < 0 else close + len(found.group())
            case "block":
                kind = Kind.COMMENT
                at = _block_end(sql, at)
            case _:
                kind = Kind.COMMENT
        yield kind, found.start(), at


def _block_end(sql: str, at: int) -> int:
    depth = 1
    while depth:
        edge = _BLOCK_EDGE.search(sql, at)
        if not edge:
            return len(sql)
        at = edge.end()
        depth += 1 if edge.group() == "/*" else -1
    return at


def code(sql: str) -> str:
    """`sql` with all that is no code blanked out; as long as `sql`, so that offsets hold in both.

    Strings become quotes, quoted names double quotes, comments spaces (their line breaks stay).
    """
    parts: list[str] = []
    at = 0
    for kind, start, end in opaque(sql):
        parts.append(sql[at:start])
        filler = kind.value * (end - start)
        parts.append(re.sub(r"[^\n]", " ", sql[start:end]) if kind is Kind.COMMENT else filler)
        at = end
    parts.append(sql[at:])
    return "".join(parts)


def spaced(sql: str) -> str:
    """`sql` with a space where sqlglot would take a `$n` for the tag of a dollar quote, as in `$1,$2`.

    It also looks for that quote's end behind a `$n`, and trips over `''` at the end of the text.
    """
    if sql.endswith(("''", "\\'")) and "$" in sql:
        sql += " "
    if not _GLUED.search(sql):
        return sql
    plain = code(sql)
    parts: list[str] = []
    at = 0
    for found in _GLUED.finditer(sql):
        if not plain.startswith(found.group(), found.start()):
            continue
        following = found.end(1)
        # Not inside a string, nor inside a name like a$b: then right behind the parameter.
        apart = plain[following] == "$" and not (
            plain[following - 1].isalnum() or plain[following - 1] == "_"
        )
        cut = following if apart and following > found.end() else found.end()
        parts += sql[at:cut], " "
        at = cut
    return "".join([*parts, sql[at:]])
