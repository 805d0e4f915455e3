"""What holds for any text: nothing raises, and a fingerprint does not depend on form or values."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbperf.statements import analyze_statement, canonical, split, template

QUIET = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

SHAPES = [
    "SELECT a, b FROM t WHERE a = {} AND b IN ({}, {}) ORDER BY 2",
    "SELECT * FROM t WHERE created > {} AND (a, b) > ({}, {}) LIMIT {}",
    "UPDATE t SET a = {}, b = b + {} WHERE id = {}",
    "INSERT INTO t (a, b) VALUES ({}, {})",
    "SELECT CASE WHEN a = {} THEN {} ELSE {} END FROM t GROUP BY f({})",
    "DELETE FROM t WHERE a LIKE {} OR x = ANY(ARRAY[{}, {}])",
]
numbers = st.integers(-(10**12), 10**12).map(str) | st.decimals(0, 10**6, places=3).map(str)
strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
quoted = strings.map(lambda text: "'" + text.replace("'", "''") + "'")
parameters = st.integers(1, 9).map(lambda n: f"${n}") | st.integers(1, 9).map(lambda n: f"${n}::INTEGER")
values = numbers | quoted | parameters | st.sampled_from(["DATE '2020-01-01'", "interval '1 day'", "$$x$$"])
gaps = st.sampled_from([" ", "  ", "\n", "\t", " /* 'x' */ ", " -- it's\n", " /* /* $1 */ */ "])
PIECES = """
( ) [ ] ; , . * ? : $ ' \" \\ - % @ -- /* */ $$ $1 :: %s %(x)s :x E' \\set a t = < 1 'x' count( lower(
SELECT FROM WHERE AND OR NOT IN LIKE JOIN ON GROUP BY ORDER LIMIT WITH AS UNION INSERT INTO VALUES UPDATE
SET DELETE CASE WHEN END ARRAY INTERVAL CAST EXISTS BETWEEN ANY NULL
"""
fragments = st.lists(st.sampled_from([*PIECES.split(), "\n"]), max_size=40).map(" ".join)


@QUIET
@given(st.sampled_from(SHAPES), st.data())
def test_values_and_form_do_not_change_the_fingerprint(shape: str, data: st.DataObject) -> None:
    filled = shape.format(*(data.draw(values) for _ in range(shape.count("{}"))))
    words = shape.replace("{}", "$1").split(" ")
    formed = "".join(word.lower() + data.draw(gaps) for word in words) + data.draw(
        st.sampled_from(["", ";", " ; "])
    )
    plain = template(shape.replace("{}", "$1"), "postgresql").fingerprint
    assert template(filled, "postgresql").fingerprint == plain
    assert template(formed, "postgresql").fingerprint == plain


@QUIET
@given(st.sampled_from(SHAPES), st.text("xyzq", min_size=6, max_size=9), st.integers(10**9, 10**12))
def test_no_value_is_left_in_a_template(shape: str, word: str, number: int) -> None:
    count = shape.count("{}")
    for value, secret in ((f"'{word}'", word), (str(number), str(number)), (f"E'\\'{word}'", word)):
        made = template(shape.format(*[value] * count), "postgresql")
        assert secret not in made.sql
        assert made.redacted


@QUIET
@given(st.text(max_size=200) | fragments)
def test_nothing_raises(sql: str) -> None:
    for style in ("auto", "pyformat", "format", "named", "numeric", "numeric_dollar", "qmark"):
        canonical(sql, style)
    split(sql)
    for dialect in ("postgresql", "sqlite", "mysql"):
        made = template(sql, dialect)
        assert len(made.fingerprint) == 16
        facts = analyze_statement(sql, dialect)
        assert facts.parsed or facts.reason


@QUIET
@given(st.sampled_from(SHAPES), st.data())
def test_nothing_raises_on_statements_cut_and_mixed(shape: str, data: st.DataObject) -> None:
    sql = shape.replace("{}", "$1")
    at, width = data.draw(st.integers(0, len(sql))), data.draw(st.integers(0, 9))
    sql = sql[:at] + data.draw(fragments) + sql[at + width :]
    template(sql, "postgresql")
    analyze_statement(sql)
