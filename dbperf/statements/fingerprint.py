"""The normal form of a statement: what stays the same however often and with whatever values it runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

from dbperf.statements.literals import Literal
from dbperf.statements.tokens import Kind, Piece

VALUE = "$"
_CONSTANTS = frozenset({"null", "true", "false", "default"})
_LISTED = frozenset({VALUE, ",", "(", ")", "[", "]"}) | _CONSTANTS
_OPENS, _CLOSES = frozenset("(["), frozenset(")]")
_SAVEPOINT = re.compile(r"sa_savepoint_\d+")
_ZONED = ("with", "without")
_SPELLINGS = {"!=": "<>"}
_NUMBERED = re.compile(r'(?P<base>"?\w+)_\d+"?')
_NAMES_TABLE = frozenset({"from", "into", "join", "only", "update"})


def digest(text: str) -> str:
    """16 hexadecimal characters of BLAKE2b over `text`."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def fingerprint(pieces: Sequence[Piece | Literal]) -> str:
    """The same for statements that differ only in values, casts of values, list lengths, rows, or form.

    Also the numbers that SQLAlchemy gives to aliases are form.
    """
    keys = [_key(piece) for piece in pieces]
    while keys and keys[-1] == ";":
        keys.pop()
    return digest(" ".join(_collapsed(_uncast(_renumbered(keys)))))


def _key(piece: Piece | Literal) -> str:
    if isinstance(piece, Literal) or piece.kind is Kind.PARAMETER:
        return VALUE
    if piece.kind is Kind.WORD:
        return _SAVEPOINT.sub("sa_savepoint", piece.key)
    return _SPELLINGS.get(piece.key, piece.key)


def _renumbered(keys: list[str]) -> list[str]:
    """With SQLAlchemy's numbered aliases (`users_1`, `anon_2`, `count_1`) counted in order of appearance.

    Only what the statement itself gives that name: `log_2024` may be a table.
    """
    queries = {keys[at - 1] for at in range(1, len(keys) - 1) if keys[at] == "as" and keys[at + 1] == "("}
    queries |= {after for key, after in pairwise(keys) if key in {"with", "recursive"}}
    given = {after for at, (key, after) in enumerate(pairwise(keys)) if key == "as" and keys[at - 1] != after}
    given -= {after for key, after in pairwise(keys) if key in _NAMES_TABLE}
    numbered: dict[str, str] = {}
    of_base: Counter[str] = Counter()
    for key in keys:
        if key not in numbered and (key in given or key in queries) and (found := _NUMBERED.fullmatch(key)):
            of_base[found["base"]] += 1
            numbered[key] = f"{found['base']}_#{of_base[found['base']]}"
    return [numbered.get(key, key) for key in keys]


def _uncast(keys: list[str]) -> list[str]:
    """Without the casts of values: SQLAlchemy renders them for some drivers and not for others."""
    kept: list[str] = []
    at = 0
    while at < len(keys):
        kept.append(keys[at])
        at += 1
        while kept[-1] == VALUE and keys[at : at + 1] == ["::"]:
            at = _after_type(keys, at + 1)
    return kept


def _after_type(keys: list[str], at: int) -> int:
    """Past a type name: words and dots, modifiers, time zone, array dimensions."""
    at += 1
    while keys[at : at + 1] == ["."]:
        at += 2
    if keys[at : at + 1] in (["precision"], ["varying"]):
        at += 1
    if keys[at : at + 1] == ["("]:
        at = _after_bracket(keys, at)
    if keys[at : at + 1] and keys[at] in _ZONED and keys[at + 1 : at + 3] == ["time", "zone"]:
        at += 3
    while keys[at : at + 1] == ["["]:
        at = _after_bracket(keys, at)
    return at


def _after_bracket(keys: list[str], at: int) -> int:
    depth = 0
    while at < len(keys):
        depth += (keys[at] in _OPENS) - (keys[at] in _CLOSES)
        at += 1
        if not depth:
            break
    return at


def _collapsed(keys: list[str]) -> list[str]:
    """With lists of constants behind IN and ARRAY, and the rows of VALUES, reduced to the distinct ones."""
    kept: list[str] = []
    at = 0
    while at < len(keys):
        key = keys[at]
        kept.append(key)
        at += 1
        if keys[at : at + 1] and (key, keys[at]) in {("in", "("), ("array", "[")}:
            end = _constants_end(keys, at)
            if end > at:
                values = [VALUE if key in _CONSTANTS else key for key in keys[at + 1 : end - 1]]
                kept += [keys[at], *_distinct(_items(values)), keys[end - 1]]
                at = end
        elif key in {"values", "value"} and keys[at : at + 1] == ["("]:
            rows, at = _rows(keys, at)
            kept += rows
    return kept


def _constants_end(keys: list[str], at: int) -> int:
    """Past a bracket that holds constants, or rows of them, and nothing else; `at` for any other."""
    depth = 0
    for end in range(at, len(keys)):
        depth += (keys[end] in _OPENS) - (keys[end] in _CLOSES)
        if not depth:
            return end + 1 if end > at + 1 else at
        if keys[end] not in _LISTED:
            return at
    return at


def _rows(keys: list[str], at: int) -> tuple[list[str], int]:
    rows: list[list[str]] = []
    while keys[at : at + 1] == ["("]:
        end = _after_bracket(keys, at)
        rows.append([VALUE if _is_constant_cell(keys, each) else keys[each] for each in range(at, end)])
        at = end
        if keys[at : at + 2] != [",", "("]:
            break
        at += 1
    return _distinct(rows), at


def _is_constant_cell(keys: list[str], at: int) -> bool:
    return keys[at] in _CONSTANTS and keys[at - 1] in {"(", ","} and keys[at + 1 : at + 2] in ([","], [")"])


def _items(keys: list[str]) -> list[list[str]]:
    items: list[list[str]] = [[]]
    depth = 0
    for key in keys:
        depth += (key in _OPENS) - (key in _CLOSES)
        if key == "," and not depth:
            items.append([])
        else:
            items[-1].append(key)
    return items


def _distinct(items: list[list[str]]) -> list[str]:
    joined: list[str] = []
    for item in dict.fromkeys(map(tuple, items)):
        joined += ([","] if joined else []) + list(item)
    return joined
