"""One statement to sqlglot's tree, guarded: sqlglot is not made for hostile input.

It raises RecursionError at about 40 nested calls, its time doubles or worse with each ARRAY[, type( or JOIN
without ON around, and in a few other places it raises whatever Python raises. So size and depth are looked
at first, and what a statement may cost at most.
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
ORDINARY = 800
"""The weight up to which no statement takes sqlglot more than some 50 ms, in either of its builds."""
_WORD = re.compile(
    r"(?:cross|natural(?:\s+(?:inner|(?:left|right|full)(?:\s+outer)?))?)\s+join|'+|\"+|\w+|\S"
)
# What sqlglot looks at anew for each way to read what is around: a JOIN waits for its ON.
_CLOSED_BY = {"(": ")", "[": "]", "{": "}", "case": "end", "join": "on", "straight_join": "on"}
_BRACKETS = frozenset(")]}")


def parse(sql: str, dialect: str) -> tuple[exp.Expr, list[Token]]:
    """The tree and the tokens of one statement that was weighed.

    Raises StatementError with a reason that shows no literal, and RecursionError.
    """
    speaks = dialect_of(dialect)
    try:
        tokens = speaks.tokenize(sql)
        with _quiet():
            trees = speaks.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, sql)
    except RecursionError:
        raise  # how much of the stack is left is the caller's to know
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


def weigh(sql: str) -> int:
    """The weight of `sql`: each word counts 2 to the power of what is open around it.

    That is how sqlglot's worst cases grow. Raises StatementError
    unless `sql` is one statement, of a size and depth that sqlglot can take.
    """
    if len(sql) > LONGEST:
        raise StatementError(f"longer than {LONGEST // 1024} KB")
    plain = code(sql).rstrip("; \t\r\n\f\v")
    if not plain.strip("; \t\r\n\f\v"):
        raise StatementError("empty")
    if ";" in plain:
        raise StatementError("more than one statement")
    weight = 0
    awaited: list[str] = []
    for word in _WORD.findall(plain.lower()):
        if closer := _CLOSED_BY.get(word):
            awaited.append(closer)
            if len(awaited) > DEEPEST:
                raise StatementError("nested too deeply")
        elif word in _BRACKETS and word in awaited:
            while awaited.pop() != word:
                pass
        elif awaited and awaited[-1] == ("on" if word == "using" else word):
            awaited.pop()
        weight += 1 << len(awaited)
    return weight


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
