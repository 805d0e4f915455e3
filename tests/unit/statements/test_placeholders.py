from __future__ import annotations

from typing import Any

import pytest

from dbperf.statements import Canonical, canonical


@pytest.mark.parametrize(
    ("sql", "style", "expected", "names"),
    [
        ("a = %(x)s AND b = %(y)s OR a = %(x)s", "pyformat", "a = $1 AND b = $2 OR a = $1", ("x", "y")),
        ("a = '%(x)s' AND b % 2 = %s", "format", "a = '$1' AND b % 2 = $2", ("x", 0)),
        ("a LIKE 'x%%' AND b = %(b 1)s", "pyformat", "a LIKE 'x%' AND b = $1", ("b 1",)),
        ("a = %s AND b = %b", "format", "a = $1 AND b = $2", (0, 1)),
        ("a = :x::int AND b = ':y' AND c = :x", "named", "a = $1::int AND b = ':y' AND c = $1", ("x",)),
        ("a = ? AND b = '?' -- ?", "qmark", "a = $1 AND b = '?' -- ?", (0, 1)[:1]),
        ("a = $2 AND b = $1", "numeric_dollar", "a = $2 AND b = $1", (0, 1)),
        ("a = :2 AND b = :1", "numeric", "a = $2 AND b = $1", (0, 1)),
        ("VALUES ($1,$2)", "numeric_dollar", "VALUES ($1, $2)", (0, 1)),
        ("SELECT $1||'a$b'", "numeric_dollar", "SELECT $1 ||'a$b'", (0,)),
    ],
)
def test_driver_styles(sql: str, style: str, expected: str, names: tuple[str | int, ...]) -> None:
    assert canonical(sql, style) == Canonical(expected, names)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a = %(x)s AND b = '%(y)s'", "a = $1 AND b = '%(y)s'"),
        ("a = %s AND b %step", "a = $1 AND b %step"),
        ("a = :x AND b::int = 1 AND c[1:2] = ':z'", "a = $1 AND b::int = 1 AND c[1:2] = ':z'"),
        (
            "a = ? AND data ? 'k' AND data ?| ? AND (x ?& y)",
            "a = $1 AND data ? 'k' AND data ?| $2 AND (x ?& y)",
        ),
        ("data ? $1 AND b = ':x'", "data ? $1 AND b = ':x'"),
        ("a IN (?, ?) LIMIT ? OFFSET ?", "a IN ($1, $2) LIMIT $3 OFFSET $4"),
        ("a = 'it''s ?' AND b = E'\\'?' AND c = $t$?$t$ AND d = ?", None),
        ("/* ? /* ? */ ? */ SELECT ? -- ?", "/* ? /* ? */ ? */ SELECT $1 -- ?"),
        ('SELECT "a?b", ?', 'SELECT "a?b", $1'),
        ("SELECT 1", "SELECT 1"),
    ],
)
def test_typed_by_people(sql: str, expected: str | None) -> None:
    assert canonical(sql, "auto").sql == (expected or sql[:-1] + "$1")


@pytest.mark.parametrize(
    ("sql", "style", "given", "expected"),
    [
        ("%(b)s %(a)s %(b)s", "pyformat", {"a": 1, "b": 2}, (2, 1)),
        ("%s %s", "format", [1, 2], (1, 2)),
        ("$2 $1", "numeric_dollar", ("x", "y"), ("x", "y")),
        (":x", "named", {"x": None, "more": 1}, (None,)),
        ("1", "qmark", (), ()),
    ],
)
def test_parameters_are_put_in_order(sql: str, style: str, given: Any, expected: tuple[Any, ...]) -> None:
    assert canonical(sql, style).arrange(given) == expected


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(KeyError):
        canonical("%(a)s", "pyformat").arrange({"b": 1})
    with pytest.raises(ValueError, match="paramstyle"):
        canonical("SELECT 1", "dollar")


def test_a_huge_number_is_no_placeholder() -> None:
    assert canonical("SELECT $99999999999", "numeric_dollar").names == ()
