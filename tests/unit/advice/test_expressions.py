"""Expressions are read within limits, and what is kept of them is not changed."""

from __future__ import annotations

import sys

from sqlglot import exp

from dbperf.advice.expressions import bare, expression, unqualified


def test_what_is_kept_stays_as_it_is() -> None:
    sql = "lower((t.email)::text)"
    before = repr(expression(sql, "postgresql"))
    assert bare(sql, "postgresql") == "lower(email)"
    assert unqualified(sql, "postgresql") == "lower(CAST((email) AS TEXT))"
    assert repr(expression(sql, "postgresql")) == before


def test_what_is_too_heavy_is_not_read() -> None:
    assert expression("ARRAY[" * 18 + "1" + "]" * 18, "postgresql") is None
    assert expression("a = ", "postgresql") is None


def test_too_little_stack_is_no_error_and_not_kept() -> None:
    sql = "lower(" * 5 + "kept" + ")" * 5
    assert _deep(sql, sys.getrecursionlimit()) is None
    assert expression(sql, "postgresql") is not None


def _deep(sql: str, limit: int) -> exp.Expr | None:
    """What is read where 40 frames of the stack are left."""
    frame, depth = sys._getframe(), 0
    while frame.f_back:
        frame, depth = frame.f_back, depth + 1
    return _deep_by(limit - depth - 40, sql)


def _deep_by(frames: int, sql: str) -> exp.Expr | None:
    return _deep_by(frames - 1, sql) if frames else expression(sql, "postgresql")
