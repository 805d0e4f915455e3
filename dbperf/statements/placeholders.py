"""One placeholder style, PostgreSQL's `$n`, from whatever a driver or a person wrote."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbperf.statements.lexer import code, spaced, words


@dataclass(frozen=True, slots=True)
class Canonical:
    """SQL whose placeholders are `$1`, `$2`, …

    `names[n - 1]` is what `$n` stands for in the driver's parameters: a key, or a 0-based position.
    """

    sql: str
    names: tuple[str | int, ...] = ()

    def arrange(self, parameters: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
        """The driver's `parameters` by position, the first for `$1`.

        Raises KeyError, IndexError or TypeError when they do not fit the placeholders.
        """
        values: Any = parameters
        return tuple(values[name] for name in self.names)


# No name holds `%(`: the search for its end would start at each, and be quadratic.
_PERCENT = re.compile(r"%(?:\((?P<name>(?:[^)%]|%(?!\())*+)\))?(?P<form>[sbt%])")
_NAMED = re.compile(r"(?<![:\w\[\]]):(?P<name>[^\W\d]\w*)")
_NUMERIC = re.compile(r"(?<![:\w\[\]]):(?P<number>\d{1,5})(?!\w)")
_DOLLAR = re.compile(r"(?<![\w$])\$(?P<number>\d{1,5})(?!\w)")
_QMARK = re.compile(r"\?")

_STYLES = {
    "pyformat": _PERCENT,
    "format": _PERCENT,
    "named": _NAMED,
    "numeric": _NUMERIC,
    "numeric_dollar": _DOLLAR,
    "qmark": _QMARK,
}
# The first that a text shows is its style. `%s` needs a boundary after it: `total %step` is a modulo.
_TYPED = (_DOLLAR, re.compile(r"%(?:\((?P<name>[^()\s]+)\))?s(?!\w)"), _NUMERIC, _NAMED)

# After one of these words a `?` is an operand; after any other word it is PostgreSQL's jsonb operator.
_EXPECTS_OPERAND = words(
    "all and any as between by case distinct else except fetch first from having ilike in intersect "
    "interval is like limit next not of offset on or over returning select set similar some symmetric "
    "then to top union using values when where"
)


def canonical(sql: str, paramstyle: str) -> Canonical:
    """`sql` with every placeholder as `$n`, a repeated name with the same n.

    `paramstyle` is PEP 249's name, SQLAlchemy's `numeric_dollar`, or `auto` for SQL typed by people: the
    style is then guessed, and placeholders in strings, quoted names and comments are left alone. In a
    driver's `format` and `pyformat` they count everywhere, as psycopg substitutes them, and `%%` is `%`.
    Raises ValueError for an unknown paramstyle.
    """
    if paramstyle == "auto":
        return _auto(sql)
    if paramstyle not in _STYLES:
        raise ValueError(f"unknown paramstyle {paramstyle!r}")
    everywhere = _STYLES[paramstyle] is _PERCENT
    return _rewritten(sql, sql if everywhere else code(sql), _STYLES[paramstyle])


def _auto(sql: str) -> Canonical:
    plain = code(sql)
    for sign in _TYPED:
        if sign.search(plain):
            return _rewritten(sql, plain, sign)
    return _rewritten(sql, plain, _QMARK, lambda found: not _ends_operand(plain, found.start()))


def _ends_operand(plain: str, at: int) -> bool:
    """Whether an operand ends before `at`, so that what follows is an operator."""
    end = at
    while end and plain[end - 1].isspace():
        end -= 1
    if not end or not (plain[end - 1].isalnum() or plain[end - 1] in "_$'\")]"):
        return False
    start = end
    while start and (plain[start - 1].isalnum() or plain[start - 1] in "_$"):
        start -= 1
    return plain[start:end].lower() not in _EXPECTS_OPERAND


def _rewritten(
    sql: str,
    searched: str,
    pattern: re.Pattern[str],
    wanted: Callable[[re.Match[str]], bool] = lambda _: True,
) -> Canonical:
    numbers: dict[str | int, int] = {}
    highest = positions = at = 0
    parts: list[str] = []
    for found in pattern.finditer(searched):
        if not wanted(found):
            continue
        parts.append(sql[at : found.start()])
        at = found.end()
        groups = found.groupdict()
        if groups.get("form") == "%":
            parts.append("%")
            continue
        if written := groups.get("number"):
            number = int(written)
            highest = max(highest, number)
        else:
            name: str | int | None = groups.get("name")
            if name is None:
                name = positions
                positions += 1
            number = numbers.setdefault(name, len(numbers) + 1)
        parts.append(f"${number}")
    text = spaced("".join([*parts, sql[at:]]))
    return Canonical(text, tuple(numbers) or tuple(range(highest)))
