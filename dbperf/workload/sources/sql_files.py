"""Statements from .sql files: psql scripts, pgbench scripts, a folder of queries."""

from __future__ import annotations

from pathlib import Path

from dbperf.errors import InputError
from dbperf.model.workload import CallSite, Sample, Statement, Workload
from dbperf.statements import canonical, split, template


def read_sql(path: Path, dialect: str = "postgresql") -> Workload:
    """The statements of a file, or of all *.sql below a folder; each with its file and line.

    `dialect` is SQLAlchemy's name. Placeholders of any driver become `$n`. Literals stay: it is the reader's
    own file. Statements of one fingerprint are one, with a sample each. Raises InputError for what cannot be
    read or holds no SQL.
    """
    found: dict[str, Statement] = {}
    for file in _files(path):
        for sql, line in split(read_text(file)):
            statement = given(sql, dialect, CallSite(str(file), line, "", 0))
            known = found.get(statement.fingerprint)
            found[statement.fingerprint] = _merged(known, statement) if known else statement
    if not found:
        raise InputError(f"{path}: no SQL statement in it")
    return Workload(tuple(found.values()))


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        files = sorted(path.rglob("*.sql"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not files:
        raise InputError(f"{path}: no *.sql file below this folder")
    return files


def read_text(path: Path) -> str:
    """The text of a file of SQL. Raises InputError for what cannot be read or is no text."""
    try:
        return decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def decoded(content: bytes, name: str) -> str:
    """The text in `content`. Raises InputError, which calls it `name`, for what is no text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # which no SQL has, and every file of machine code
        raise InputError(f"{name}: not a text file in UTF-8")
    return text.replace("\r\n", "\n")


def given(sql: str, dialect: str, *sites: CallSite) -> Statement:
    """A statement as a person wrote it, with placeholders of any driver; its literals stay."""
    form = canonical(sql, "auto")
    return Statement(
        sql=form.sql,
        fingerprint=template(form.sql, dialect).fingerprint,
        dialect=dialect,
        database="",
        call_sites=sites,
        samples=() if form.names else (Sample(form.sql),),
    )


def _merged(known: Statement, other: Statement) -> Statement:
    return Statement(
        sql=known.sql,
        fingerprint=known.fingerprint,
        dialect=known.dialect,
        database=known.database,
        call_sites=known.call_sites + other.call_sites,
        samples=tuple(dict.fromkeys(known.samples + other.samples)),
    )
