"""Which pieces of a statement are literals that a parameter can stand for, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dbperf.statements.lexer import words
from dbperf.statements.tokens import Kind, Piece

_DDL = words("alter analyze cluster comment create drop grant lock reindex revoke truncate vacuum")

_TYPES = (
    "bigint|bit varying|bit|bool|boolean|box|bpchar|bytea|character varying|character|char|cidr|circle|"
    "citext|date|daterange|dec|decimal|double precision|float|float4|float8|inet|int|int2|int4|"
    "int4range|int8|int8range|integer|interval|json|jsonb|jsonpath|line|lseg|ltree|macaddr|macaddr8|"
    "money|name|numeric|numrange|oid|pg_lsn|point|polygon|real|regclass|regproc|regtype|smallint|text|"
    "time|timestamp|timestamptz|timetz|tsquery|tsrange|tstzrange|tsvector|uuid|varbit|varchar|xml|"
    "hstore|geometry|geography"
)
_TYPE_NAME = re.compile(
    rf"(?:\w+ \. )?(?:{_TYPES})(?: \( \d+ \))?"
    r"|(?:timestamp|time)(?: \( \d+ \))? with(?:out)? time zone"
)
_LONGEST_TYPE_NAME = 7  # pieces: timestamp ( 3 ) with time zone
# Of these `name(10, 2)` is a type with its modifier, not a call.
_MODIFIED = words(
    "bit bpchar char character dec decimal float interval nchar numeric nvarchar time timestamp "
    "timestamptz timetz varbit varchar varying"
)
_ENDS_ORDINALS = words(
    "except fetch for having intersect limit offset range returning rows union where window"
)
# A minus after one of these words is a sign; after any other word it subtracts.
_EXPECTS_OPERAND = words(
    "all and any between by case distinct else from having in is like limit not offset on or returning "
    "select set then to values when where"
)
_RESULT_ENDS = frozenset({"when", "else", "end"})


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal as it was `written`; `cast` is what must follow its parameter for the text to stay valid SQL.

    `shared`: it stands in GROUP BY or ORDER BY, where it must stay equal to the one in the select list.
    """

    written: str
    cast: str
    spaced: bool
    shared: bool


@dataclass(slots=True)
class _Bracket:
    modifier: bool = False
    ordinals: bool = False
    shared: bool = False  # ORDER BY or GROUP BY is somewhere around it


def with_literals(pieces: list[Piece], *, postgres: bool) -> list[Piece | Literal]:
    """`pieces` with their literals told apart from the numbers that belong to the statement itself.

    Those stay pieces: type modifiers, ordinals of ORDER BY and GROUP BY, count(1), and all numbers of DDL.
    """
    found: list[Piece | Literal] = []
    brackets = [_Bracket()]
    ddl = bool(pieces) and pieces[0].key in _DDL
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        at += 1
        shared = brackets[-1].shared or brackets[-1].ordinals
        if piece.kind is Kind.STRING:
            at = _after_string(pieces, at)
            found.append(_string(piece, found, shared=shared, postgres=postgres))
        elif piece.kind is Kind.NUMBER and not (ddl or _belongs(pieces, at - 1, brackets[-1])):
            following = pieces[at] if at < len(pieces) else None
            found.append(_number(piece, found, following, shared=shared, postgres=postgres))
        else:
            _follow(piece, found, brackets)
            found.append(piece)
    return found


def _after_string(pieces: list[Piece], at: int) -> int:
    """Past the further parts of one string constant: 'a' 'b' and U&'…' UESCAPE '!'."""
    while at < len(pieces):
        if pieces[at].kind is Kind.STRING:
            at += 1
        elif pieces[at].key == "uescape" and at + 1 < len(pieces) and pieces[at + 1].kind is Kind.STRING:
            at += 2
        else:
            break
    return at


def _string(piece: Piece, found: list[Piece | Literal], *, shared: bool, postgres: bool) -> Literal:
    length = _type_before(found) if postgres else 0
    if not length:
        return Literal(piece.text, "", piece.spaced, shared)
    name = [each for each in found[-length:] if isinstance(each, Piece)]
    del found[-length:]
    return Literal(piece.text, "::" + _joined(name), name[0].spaced, shared)


def _type_before(found: list[Piece | Literal]) -> int:
    """How many pieces at the end of `found` name the type of the string that follows (`DATE '…'`)."""
    keys: list[str] = []
    longest = 0
    for each in reversed(found[-_LONGEST_TYPE_NAME:]):
        if isinstance(each, Literal):
            break
        keys.insert(0, each.key)
        if _TYPE_NAME.fullmatch(" ".join(keys)):
            longest = len(keys)
    # `x::date '…'` is no SQL, and `AS date` names a column
    before = found[-longest - 1] if longest and len(found) > longest else None
    return 0 if isinstance(before, Piece) and before.key in {"::", "."} else longest


def _joined(name: list[Piece]) -> str:
    return name[0].text + "".join((" " if each.spaced else "") + each.text for each in name[1:])


def _number(
    piece: Piece, found: list[Piece | Literal], following: Piece | None, *, shared: bool, postgres: bool
) -> Literal:
    written, spaced = piece.text, piece.spaced
    sign = found[-1] if found else None
    if isinstance(sign, Piece) and sign.key in {"-", "+"} and not _is_operand(found[-2:-1]):
        del found[-1]
        written, spaced = sign.text + written, sign.spaced
    before = found[-1] if found else None
    # The server takes an untyped parameter for text; sum(CASE … THEN $1 ELSE $2 END) needs numbers.
    result = isinstance(before, Piece) and before.key in {"then", "else"}
    if postgres and result and following and following.key in _RESULT_ENDS:
        integer = piece.text.isdecimal() and int(piece.text) < 2**31
        return Literal(written, "::int" if integer else "::numeric", spaced, shared)
    return Literal(written, "", spaced, shared)


def _is_operand(before: list[Piece | Literal]) -> bool:
    if not before:
        return False
    piece = before[0]
    if isinstance(piece, Literal):
        return True
    if piece.kind is Kind.WORD:
        return piece.key not in _EXPECTS_OPERAND
    return piece.kind is not Kind.SYMBOL or piece.key in {")", "]"}


def _belongs(pieces: list[Piece], at: int, bracket: _Bracket) -> bool:
    """Whether the number at `at` is part of the statement's shape."""
    before = pieces[at - 1].key if at else ""
    after = pieces[at + 1] if at + 1 < len(pieces) else None
    if bracket.modifier:
        return True
    if bracket.ordinals and pieces[at].text.isdecimal() and (before == "," or before == "by"):
        return after is None or after.kind is Kind.WORD or after.key in {",", ")", ";"}
    counted = before == "(" and at > 1 and pieces[at - 2].key == "count"
    return counted and after is not None and after.key == ")"


def _follow(piece: Piece, found: list[Piece | Literal], brackets: list[_Bracket]) -> None:
    if piece.key in {"(", "["}:
        around = brackets[-1]
        shared = around.shared or around.ordinals
        brackets.append(_Bracket(modifier=_names_type(found, piece.key), shared=shared))
    elif piece.key in {")", "]"}:
        if len(brackets) > 1:
            brackets.pop()
    elif piece.key == "by" and found and _key(found[-1]) in {"order", "group"}:
        brackets[-1].ordinals = True
    elif piece.key in _ENDS_ORDINALS:
        brackets[-1].ordinals = False


def _names_type(found: list[Piece | Literal], bracket: str) -> bool:
    """Whether the bracket that follows holds a type's modifier: `numeric(`, `x::geometry(`, `int[`."""
    keys = [_key(each) for each in found[-4:]]
    if not keys:
        return False
    if bracket == "(" and (keys[-1] in _MODIFIED or keys[-2:-1] == ["as"]):
        return True
    if keys[-2:-1] == ["."]:
        keys = keys[:-2]
    return keys[-2:-1] == ["::"]


def _key(piece: Piece | Literal) -> str:
    return piece.key if isinstance(piece, Piece) else ""
