"""PostgreSQL: windows are partitioned by time; old ones are dropped whole and leave nothing to vacuum."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Table, func, select, text

from dbperf.workload.store.tables import day, hour, minute

_FORMS = {minute: "%Y%m%d", hour: "%Y%m", day: "%Y"}
"""A partition is a day of minutes, a month of hours, a year of days; it is named after its start."""
_AHEAD = {minute: 7, hour: 2, day: 1}
"""How many of them are made ahead."""


def make_partitions(connection: Connection) -> None:
    """Make what is missing of the current partitions and of those ahead.

    What came before its partition was made is in the default one, until it is rolled up or expires; while it
    is there, no partition can be made for its time.
    """
    known = partitions(connection)
    now = _now(connection)
    for window, ahead in _AHEAD.items():
        for name, start, end in _spans(window, now, ahead):
            if name not in known and not _holds(connection, f"{window.name}_rest", start, end):
                # Attached, for making it in place would wait for all who read or write the table.
                connection.execute(text(f"CREATE TABLE {name} (LIKE {window.name} INCLUDING ALL)"))
                values = f"FOR VALUES FROM ({start}) TO ({end})"
                connection.execute(text(f"ALTER TABLE {window.name} ATTACH PARTITION {name} {values}"))


def drop_partitions(connection: Connection) -> list[str]:
    """Drop the partitions whose time has passed and that hold nothing any more; their names.

    The caller keeps writers out.
    """
    current = {name for window in _AHEAD for name, _, _ in _spans(window, _now(connection), _AHEAD[window])}
    gone = [name for name in partitions(connection) if name not in current and not _holds(connection, name)]
    for name in gone:
        connection.execute(text(f"DROP TABLE {name}"))
    return gone


def partitions(connection: Connection) -> list[str]:
    """The names of the partitions that have bounds."""
    rows = connection.execute(
        text(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
            " AND relname !~ '_rest$' ORDER BY relname"
        )
    )
    return [row.relname for row in rows]


def _now(connection: Connection) -> datetime:
    now: datetime = connection.execute(select(func.now())).scalar_one()
    return now.astimezone(UTC)


def _spans(window: Table, now: datetime, ahead: int) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of the current partition of a table and of those ahead."""
    start = _start(window, now)
    for _ in range(ahead + 1):
        end = _start(window, start + timedelta(days={minute: 1, hour: 31, day: 366}[window]))
        yield f"{window.name}_{start:{_FORMS[window]}}", int(start.timestamp()), int(end.timestamp())
        start = end


def _start(window: Table, at: datetime) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if window is hour:
        return midnight.replace(day=1)
    return midnight.replace(month=1, day=1) if window is day else midnight


def _holds(connection: Connection, name: str, start: int = 0, end: int = 1 << 62) -> bool:
    query = f"SELECT EXISTS (SELECT 1 FROM {name} WHERE starts >= {start} AND starts < {end})"  # noqa: S608
    return bool(connection.execute(text(query)).scalar())
