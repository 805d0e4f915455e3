"""No value that an application sent is in what dbperf keeps, logs or shows."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

import dbperf
from dbperf.report import html, json, terminal
from dbperf.workload.file import load

SENT = (
    "SELECT id FROM note WHERE body = '{0}'",
    "SELECT id FROM note WHERE body = E'\\'{0}' OR body = $${0}$$ OR body = U&'{0}'",
    "SELECT id FROM note WHERE body LIKE '%%{0}%%'"
    " AND id NOT IN (SELECT owner FROM note WHERE body <> '{0}')",
    "SELECT id FROM note WHERE body IN ('{0}', 'x{0}') AND lower(body) = '{0}' /* {0} */ -- {0}",
    "SELECT '{0}' AS a UNION SELECT body FROM note WHERE body ~ '{0}' ORDER BY 1 LIMIT 5 OFFSET 2000",
    "SELECT id FROM note WHERE doc @> '{{\"{0}\": 1}}' OR doc ->> '{0}' = '{0}'",
    "SELECT count(*) FILTER (WHERE body = '{0}') FROM note GROUP BY owner HAVING max(body) > '{0}'",
    "INSERT INTO note (id, body) VALUES (nextval('ids'), '{0}'), (nextval('ids'), '{0}') RETURNING id",
    "UPDATE note SET body = '{0}' WHERE owner = 7 AND body = '{0}'",
    "CREATE ROLE r{1} PASSWORD '{0}'",
    "DROP ROLE r{1}",
    "COMMENT ON TABLE note IS '{0}'",
    "SELECT no_such_column, '{0}' FROM note",
    "SELECT '{0}' WHERE (((",
)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What dbperf and sqlglot log, all of it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logs = [logging.getLogger(name) for name in ("dbperf", "sqlglot")]
    for log in logs:
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
    yield stream
    for log in logs:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)


def test_values_in_statements_go_nowhere(
    psycopg_url: str, server: Any, database: str, tmp_path: Path, logged: io.StringIO
) -> None:
    plain = sa.create_engine(psycopg_url)
    with plain.begin() as connection:
        connection.execute(sa.text("CREATE SEQUENCE ids"))
        connection.execute(sa.text("CREATE TABLE note (id int PRIMARY KEY, owner int, body text, doc jsonb)"))
        connection.execute(
            sa.text("INSERT INTO note SELECT -g, g % 50, md5(g::text) FROM generate_series(1, 20000) g")
        )
    plain.dispose()

    engine = dbperf.create_engine(psycopg_url, dbperf=dbperf.Settings(store=str(tmp_path / "store.sqlite")))
    secrets = []
    for number in range(4):
        for form, sql in enumerate(SENT):
            secret = f"canary{number}form{form}zq"
            secrets.append(secret)
            with suppress(sa.exc.DBAPIError), engine.begin() as connection:
                connection.exec_driver_sql(sql.format(secret, number))
            with engine.begin() as connection:
                connection.execute(sa.text("SELECT id FROM note WHERE body = :body"), {"body": secret})
    dbperf.perf(engine).save(tmp_path / "saved.sqlite")
    engine.dispose()
    dbperf.perf(engine).close()

    report = dbperf.analyze(load(str(tmp_path / "saved.sqlite")), server.dsn(database))
    assert {"DBP301", "DBP305"} <= {each.code for each in report.recommendations}
    shown = io.StringIO()
    terminal.render(report, Console(file=shown, width=200))
    kept = [path.read_bytes() for path in tmp_path.iterdir()]
    told = [shown.getvalue(), json.render(report), html.render(report), logged.getvalue()]
    everything = b"".join(kept) + "".join(told).encode()
    assert len(kept) >= 2
    assert not [each for each in secrets if each.encode() in everything]
