"""Nothing that stands in a literal is in a template, in facts of it, in a reason, an error or a log.

Planted are 500 secrets; 10,000 with DBPERF_TESTS_WHOLE=1 in the environment.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator

import pytest

from dbperf.statements import analyze_statement, canonical, template

SECRETS = 10_000 if os.environ.get("DBPERF_TESTS_WHOLE") else 500

# {} is a word, {n} a number.
LITERALS = [
    "'{}'",
    "'it''s {}'",
    "E'\\'{}\\n'",
    "e'\\\\{}'",
    "'a'\n'{}'",
    "$${}$$",
    "$tag$ it's $$ {} $tag$",
    "U&'\\0061{}'",
    "U&'!0061{}' UESCAPE '!'",
    "N'{}'",
    "X'{n}'",
    "'{}'::text",
    "CAST('{}' AS varchar(20))",
    "DATE '{}'",
    "interval '{}' day",
    'json \'{{"k": "{}"}}\'',
    "'{{\"k\": {n}}}'::jsonb",
    "{n}",
    "-{n}",
    "{n}.5",
    ".{n}",
    "{n}e3",
    "{n}::bigint",
    "ARRAY['{}', '{}x']",
    "ARRAY[{n}, {n}]",
    "'{{{}}}'::text[]",
    "ROW('{}', {n})",
    "f('{}', x => {n})",
]
SHAPES = [
    "SELECT a FROM t WHERE b = {literal}",
    "SELECT a FROM t WHERE b IN ({literal}, {literal})",
    "SELECT a FROM t WHERE b NOT IN (SELECT c FROM u WHERE d = {literal})",
    "SELECT a FROM t WHERE b LIKE {literal} ESCAPE '!'",
    "SELECT a FROM t WHERE b BETWEEN {literal} AND {literal} OR c IS DISTINCT FROM {literal}",
    "SELECT a->>{literal}, a #> {literal}, a @> {literal}, jsonb_path_query(a, {literal}) FROM t",
    "SELECT CASE WHEN a = {literal} THEN {literal} ELSE {literal} END FROM t GROUP BY f({literal})",
    "SELECT {literal} AS x, count(*) FILTER (WHERE a > {literal}) FROM t HAVING sum(b) > {literal}",
    "SELECT a FROM t ORDER BY b <-> {literal} LIMIT 5",
    "SELECT a FROM t WHERE b=$1 AND c={literal}",
    "SELECT a FROM t /* {comment} */ WHERE b = {literal} -- {comment}",
    "-- {comment}\nSELECT a /* x /* {comment} */ y */ FROM t",
    "WITH c AS (SELECT {literal} AS x) SELECT x FROM c UNION ALL VALUES ({literal})",
    "INSERT INTO t (a, b) VALUES ({literal}, {literal}), ({literal}, {literal})",
    "INSERT INTO t (a) VALUES ({literal}) ON CONFLICT (a) DO UPDATE SET b = {literal} WHERE t.c < {literal}",
    "UPDATE t SET a = {literal}, b = b || {literal} WHERE c = {literal} RETURNING {literal}",
    "DELETE FROM t USING u WHERE t.a = u.a AND u.b ~ {literal}",
    "MERGE INTO t USING u ON t.a = {literal} WHEN MATCHED THEN UPDATE SET b = {literal}",
    "CALL p({literal})",
    "EXECUTE s({literal})",
    "SET app.token = {literal}",
    "SELECT set_config('app.token', {literal}, true)",
    "PREPARE s AS SELECT a FROM t WHERE b = {literal}",
    "EXPLAIN SELECT a FROM t WHERE b = {literal}",
    "DECLARE c CURSOR FOR SELECT a FROM t WHERE b = {literal}",
    # What no grammar reads.
    "SELECT a FROM t WHERE b = = {literal} )",
    "SELEC a FRM t WHER {literal}",
    "FROB {literal} {literal}",
    "SELECT a FROM t WHERE b = {literal} AND c = '",
    "SELECT a FROM t WHERE b = {literal}; SELECT {literal}",
    "SELECT " + "f(" * 35 + "{literal}" + ")" * 35,
    "SELECT " + "ARRAY[" * 6 + "{literal}" + "]" * 6,
]
STATEMENTS = [
    "CREATE ROLE r LOGIN PASSWORD '{}'",
    "CREATE USER u WITH ENCRYPTED PASSWORD '{}' VALID UNTIL '2030-01-01'",
    "ALTER ROLE r PASSWORD E'{}'",
    "ALTER USER u WITH PASSWORD $${}$$",
    "alter user u password U&'{}'",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password={}' PUBLICATION p",
    "ALTER SUBSCRIPTION s CONNECTION 'host=h password={}'",
    "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'bob', password '{}')",
    "ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password '{}')",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host '{}')",
    "COPY t TO PROGRAM 'curl -d token={}'",
    "COPY t FROM '/tmp/{}' WITH (DELIMITER '|')",
    "SELECT * FROM dblink('host=h password={}', 'SELECT 1 /* {} */') AS d(a int)",
    "SELECT dblink_connect('c', 'password={}')",
    "ALTER SYSTEM SET primary_conninfo = 'password={}'",
    "COMMENT ON TABLE t IS '{}'",
    "SECURITY LABEL ON TABLE t IS '{}'",
    "NOTIFY channel, '{}'",
    "DO $$ BEGIN PERFORM f('{}'); END $$",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $f$ SELECT '{}' $f$",
    "CREATE TABLE t (a text DEFAULT '{}', CHECK (a <> '{}'))",
    "CREATE VIEW v AS SELECT a FROM t WHERE b = '{}'",
    "CREATE INDEX i ON t (a) WHERE b = '{}'",
    "CREATE POLICY p ON t USING (a = '{}')",
    "CREATE PUBLICATION p FOR TABLE t WHERE (a = '{}')",
]
OTHERS = {
    "mysql": [
        "SELECT a FROM t WHERE b = \"{}\" AND c = '{}'",
        "SELECT a FROM t WHERE b = 'x\\'{}' # {}",
        "SELECT a FROM t WHERE b = _utf8mb4'{}' COLLATE utf8mb4_bin",
        "CREATE USER 'u'@'%' IDENTIFIED BY '{}'",
        "ALTER USER 'u' IDENTIFIED WITH mysql_native_password BY '{}'",
        "SET PASSWORD FOR 'u' = '{}'",
        "GRANT ALL ON *.* TO 'u' IDENTIFIED BY '{}'",
        "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD = '{}'",
        "LOAD DATA INFILE '{}' INTO TABLE t",
        "INSERT INTO t VALUES (X'{n}', 0x{n}, {n})",
    ],
    "sqlite": [
        "SELECT a FROM t WHERE b = '{}' AND c = {n}",
        "INSERT OR REPLACE INTO t VALUES ('{}', x'{n}', {n})",
        "PRAGMA key = '{}'",
        "ATTACH DATABASE '{}' AS other KEY '{}'",
        "SELECT a FROM t WHERE b GLOB '{}*' -- {}",
    ],
}


def planted() -> Iterator[tuple[str, str, list[str]]]:
    """SQL, its dialect, and the secrets in it: as many as there are to be, the same each time."""
    chosen = random.Random(20)
    count = 0
    while count < SECRETS:
        for dialect, sql in _statements(chosen):
            secrets: list[str] = []
            while "{}" in sql or "{n}" in sql:
                number = sql.find("{}") < 0 or 0 <= sql.find("{n}") < sql.find("{}")
                secrets.append(
                    f"{chosen.randrange(10**11, 10**12)}" if number else f"zq{chosen.randrange(10**9)}qz"
                )
                sql = sql.replace("{n}" if number else "{}", secrets[-1], 1)
            count += len(secrets)
            yield sql.replace("{{", "{").replace("}}", "}"), dialect, secrets


def _statements(chosen: random.Random) -> Iterator[tuple[str, str]]:
    for shape in SHAPES:
        sql = shape.replace("{comment}", "{}")
        while "{literal}" in sql:
            sql = sql.replace("{literal}", chosen.choice(LITERALS), 1)
        yield "postgresql", sql
    for sql in STATEMENTS:
        yield "postgresql", sql
    for dialect, texts in OTHERS.items():
        for sql in texts:
            yield dialect, sql


def test_no_secret_gets_out(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    for sql, dialect, secrets in planted():
        made = template(sql, dialect)
        told = [made.sql, repr(analyze_statement(made.sql, dialect)), analyze_statement(sql, dialect).reason]
        told += [canonical(made.sql, "auto").sql, caplog.text]
        for secret in secrets:
            assert not any(secret in text for text in told), sql
        caplog.clear()
    out, err = capfd.readouterr()
    assert "zq" not in out + err


def test_a_secret_that_is_bound_is_in_no_template() -> None:
    form = canonical("SELECT a FROM t WHERE b = %(zq1qz)s AND c = :zq2qz", "pyformat")
    assert template(form.sql, "postgresql").sql == "SELECT a FROM t WHERE b = $1 AND c = :zq2qz"
    assert form.arrange({"zq1qz": "secret"}) == ("secret",)


def test_the_reason_of_text_cut_anywhere_shows_none_of_it() -> None:
    chosen = random.Random(21)
    for sql, dialect, secrets in list(planted())[:: 1 if SECRETS > 500 else 5]:
        cut = sql[: chosen.randrange(len(sql))]
        made = template(cut, dialect)
        told = [analyze_statement(cut, dialect).reason, analyze_statement(made.sql, dialect).reason]
        # Where the cut takes a quote away, the rest of the text may be code.
        assert not any(secret in text for secret in secrets for text in told), cut
