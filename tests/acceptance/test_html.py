"""--format html: the page that analyze writes, with what a database and a file of statements may hold."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from dbperf.embedded import Server
    from tests.acceptance.conftest import CommandLine

NAME = '</style><script>a(1)</script>" onclick="b" \u202e]]>{{7*7}}'
"""An identifier; PostgreSQL takes 63 bytes."""
QUOTED = '"' + NAME.replace('"', '""') + '"'


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts = 0
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.handlers += [name for name, _ in attributes if name.startswith("on") or name in ("style", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_hostile_database_and_file_stay_text(dbperf: CommandLine, server: Server, own_db: str) -> None:
    with psycopg.connect(own_db, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {QUOTED} AS SELECT * FROM item".encode())
        connection.execute(f"ANALYZE {QUOTED}".encode())
    file = "<img src=x onerror=alert(3)>.sql"
    dbperf.write(file, f"SELECT * FROM {QUOTED} WHERE owner = 7;\n")
    arguments = ("--environment", "disposable", "--verify", "--format", "html")
    done = dbperf("analyze", "--db", own_db, "--sql", file, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    page = _Page(done.stdout)
    assert (page.scripts, page.handlers) == (1, [])
    shown = NAME.replace("\u202e", "\\u202e")
    assert f"{shown} has no index on (owner)" in page.text
    assert f"{file}:1" in page.text
    assert done.stdout.isascii()


def test_a_page_to_a_file_and_to_a_pipe_is_the_same(dbperf: CommandLine, db: str) -> None:
    name = os.fsdecode(b"caf\xe9.sql")
    dbperf.write(name, "SELECT * FROM item WHERE owner = 7;\n")
    arguments = ("analyze", "--db", db, "--sql", name, "--format", "html")
    printed = dbperf(*arguments)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert dbperf(*arguments, "-o", "r.html").returncode == 0
    assert (dbperf.folder / "r.html").read_text("ascii") == printed.stdout
    assert "caf\\udce9.sql:1" in printed.stdout
