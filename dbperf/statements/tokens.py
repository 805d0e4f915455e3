"""A SQL text as pieces, by sqlglot's tokenizer: what templates and fingerprints are made of."""

from __future__ import annotations

import re
import types
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from dbperf.statements.lexer import spaced

# SQLAlchemy's names where sqlglot has another one.
_SQLGLOT_NAMES = {
    "awsathena": "athena",
    "cockroachdb": "postgres",
    "greenplum": "postgres",
    "mariadb": "mysql",
    "mssql": "tsql",
    "postgresql": "postgres",
}


@lru_cache(maxsize=64)
def dialect_of(name: str) -> Dialect:
    """sqlglot's dialect by SQLAlchemy's or its own name; the generic one for a name unknown to it."""
    family = name.partition("+")[0].lower()
    known = Dialect.get(_SQLGLOT_NAMES.get(family, family))
    return known() if known else Dialect()


def is_postgres(name: str) -> bool:
    """Whether a dialect name means PostgreSQL's SQL."""
    return type(dialect_of(name)).__name__ == "Postgres"


@lru_cache(maxsize=64)
def _tokenizer(name: str) -> type[Tokenizer]:
    # sqlglot makes one string of all that follows CALL, SHOW and the like; here every token counts.
    base = dialect_of(name).tokenizer_class
    made: type[Tokenizer] = types.new_class(
        base.__name__, (base,), exec_body=lambda body: body.update(COMMANDS=set())
    )
    return made


class Kind(Enum):
    """What a piece is."""

    WORD = "word"
    QUOTED = "quoted name"
    NUMBER = "number"
    STRING = "string"
    PARAMETER = "parameter"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Piece:
    """A token. `key` compares it: words in lower case. `spaced`: white space or a comment precedes it."""

    kind: Kind
    text: str
    key: str
    spaced: bool


def pieces(sql: str, dialect: str) -> list[Piece]:
    """The tokens of `sql` without its comments. Raises sqlglot's TokenError on text it cannot tokenize."""
    text = spaced(sql)
    tokens = _tokenizer(dialect)(dialect_of(dialect)).tokenize(text)
    found: list[Piece] = []
    end = at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        last = following if following and _joins(token, following) else token
        at += 2 if last is following else 1
        if token.token_type is not TokenType.HINT:
            written = text[token.start : last.end + 1]
            found += _split(_piece(token, written, dialect, spaced=token.start > end))
        end = last.end + 1
    return found


def _joins(token: Token, following: Token) -> bool:
    """Whether sqlglot's two tokens are one of ours: `$1`, `.5`, `1_000`."""
    if following.start != token.end + 1:
        return False
    if following.token_type is TokenType.NUMBER:
        return token.text in {"$", "."} and following.text.isdecimal()
    return token.token_type is TokenType.NUMBER and following.text[:1] == "_"


def _split(piece: Piece) -> list[Piece]:
    """sqlglot makes one token of ORDER BY, unless a comment stands in it: always two pieces."""
    if piece.kind is not Kind.WORD or piece.text.isalnum():
        return [piece]
    first, *rest = piece.text.split()
    pieces = [Piece(Kind.WORD, first, first.lower(), piece.spaced)]
    return pieces + [Piece(Kind.WORD, word, word.lower(), spaced=True) for word in rest]


_PARAMETER = re.compile(r"\$\d+")


def _piece(token: Token, text: str, dialect: str, *, spaced: bool) -> Piece:
    name = token.token_type.name
    if _PARAMETER.fullmatch(text) or (name == "PLACEHOLDER" and not is_postgres(dialect)):
        return Piece(Kind.PARAMETER, text, text, spaced)
    if text[:1].isdigit() or (text[:1] == "." and text[1:2].isdigit()):
        return Piece(Kind.NUMBER, text, text, spaced)
    if name.endswith("STRING"):
        return Piece(Kind.STRING, text, text, spaced)
    if name == "IDENTIFIER":
        return Piece(Kind.QUOTED, text, text, spaced)
    if text[:1].isalpha() or text[:1] == "_":
        return Piece(Kind.WORD, text, text.lower(), spaced)
    return Piece(Kind.SYMBOL, text, text, spaced)
