"""One statement to sqlglot's tree, guarded: sqlglot is not made for hostile input.

It raises RecursionError at about 40 nested calls, is exponential in nested ARRAY[…] and in a few other
places raises whatever Python raises. So size and depth are looked at first.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.tokenizer_core import Token

from dbperf.errors import StatementError
from dbperf.statements.lexer import code
from dbperf.statements.tokens import dialect_of

LONGEST = 64 * 1024
DEEPEST = 30
DEEPEST_ARRAY = 6
_BRACKET = re.compile(r"[()\[\]]")


def parse(sql: str, dialect: str) -> tuple[exp.Expr, list[Token]]:
    """The tree and the tokens of one statement. Raises StatementError with a reason that shows no literal."""
    check_shape(sql)
    speaks = dialect_of(dialect)
    try:
        tokens = speaks.tokenize(sql)
        with _quiet():
            trees = speaks.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, sql)
    except RecursionError:
        raise StatementError("nested too deeply") from None
    except TokenError:
        raise StatementError("cannot be split into tokens") from None
    except ParseError as error:
        raise StatementError(_described(error)) from None
    except Exception as error:  # noqa: BLE001 - TypeError, AttributeError … from sqlglot on text that is no SQL
        raise StatementError(f"sqlglot failed with {type(error).__name__}") from None
    found = [tree for tree in trees if tree]
    if len(found) != 1:
        raise StatementError("empty" if not found else "more than one statement")
    return found[0], tokens


def check_shape(sql: str) -> None:
    """Raises StatementError unless `sql` is one statement, of a size and depth that sqlglot can take."""
    if len(sql) > LONGEST:
        raise StatementError(f"longer than {LONGEST // 1024} KB")
    plain = code(sql).rstrip("; \t\r\n\f\v")
    if not plain.strip("; \t\r\n\f\v"):
        raise StatementError("empty")
    if ";" in plain:
        raise StatementError("more than one statement")
    round_depth = square_depth = 0
    for bracket in _BRACKET.finditer(plain):
        round_depth += {"(": 1, ")": -1}.get(bracket.group(), 0)
        square_depth += {"[": 1, "]": -1}.get(bracket.group(), 0)
        if round_depth + square_depth > DEEPEST or square_depth > DEEPEST_ARRAY:
            raise StatementError("nested too deeply")


def _described(error: ParseError) -> str:
    # Without sqlglot's own words: they quote the text, literals too.
    for detail in error.errors:
        return f"cannot be parsed at line {detail.get('line')}, column {detail.get('col')}"
    return "cannot be parsed"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps sqlglot from logging the text it cannot read: literals would reach the application's log."""
    here = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    log = logging.getLogger("sqlglot")
    log.addFilter(elsewhere)
    try:
        yield
    finally:
        log.removeFilter(elsewhere)
