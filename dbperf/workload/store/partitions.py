"""PostgreSQL: windows are partitioned by time; old ones are dropped whole and leave nothing to vacuum."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Table, func, select, text

from dbperf.workload.store.tables import SECONDS

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FORMS = {_MINUTE: "%Y%m%d", _HOUR: "%Y%m", _DAY: "%Y"}
"""A partition is a day of minutes, a month of hours, a year of days; it is named after its start."""
_LONGEST = {_MINUTE: 1, _HOUR: 31, _DAY: 366}
"""How many days it may be long."""
_AHEAD = {_MINUTE: 7, _HOUR: 2, _DAY: 1}
"""How many of them are made ahead."""


def make_partitions(connection: Connection) -> None:
    """Make what is missing of the current partitions and of those ahead.

    What came before its partition was made is in the default one, until it is rolled up or expires; while it
    is there, no partition can be made for its time.
    """
    known = partitions(connection)
    now = _now(connection)
    for window in SECONDS:
        for name, start, end in _spans(window, now):
            if name not in known and not _holds(connection, f"{window.name}_rest", start, end):
                # Attached, for making it in place would wait for all who read or write the table.
                connection.execute(text(f"CREATE TABLE {name} (LIKE {window.name} INCLUDING ALL)"))
                values = f"FOR VALUES FROM ({start}) TO ({end})"
                connection.execute(text(f"ALTER TABLE {window.name} ATTACH PARTITION {name} {values}"))


def drop_partitions(connection: Connection) -> list[str]:
    """Drop the partitions whose time has passed and that hold nothing any more; their names.

    The caller keeps writers out.
    """
    now = _now(connection)
    current = {name for window in SECONDS for name, _, _ in _spans(window, now)}
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


def _spans(window: Table, now: datetime) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of the current partition of a table and of those ahead."""
    size = SECONDS[window]
    start = _start(size, now)
    for _ in range(_AHEAD[size] + 1):
        end = _start(size, start + timedelta(days=_LONGEST[size]))
        yield f"{window.name}_{start:{_FORMS[size]}}", int(start.timestamp()), int(end.timestamp())
        start = end


def _start(size: int, at: datetime) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if size == _HOUR:
        return midnight.replace(day=1)
    return midnight.replace(month=1, day=1) if size == _DAY else midnight


def _holds(connection: Connection, name: str, start: int = 0, end: int = 1 << 62) -> bool:
    query = f"SELECT EXISTS (SELECT 1 FROM {name} WHERE starts >= {start} AND starts < {end})"  # noqa: S608
    return bool(connection.execute(text(query)).scalar())
