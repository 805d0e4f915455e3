"""Extensions that dbperf can use."""

from __future__ import annotations

from dbperf.model.checkup import Check, Status
from dbperf.plans.connect import Connection
from dbperf.plans.doctor.settings import read_settings
from dbperf.workload.sources.pg_stat_statements import EXTENSION, evictions, obstacle, read_all_stats

_USE = "it counts every statement of the server, also those of programs that do not run on dbperf"
_WITHOUT = "analyze --from pg_stat_statements"


def pg_stat_statements(connection: Connection) -> Check:
    """Whether it is installed, loaded, readable, and sees everything."""
    name = "pg-stat-statements"
    if found := obstacle(connection):
        return Check(name, Status.INFO, found.reason, _USE, f"{_WITHOUT} is not possible", found.fixes)
    settings = {each.name: each for each in read_settings(connection, f"{EXTENSION}.%")}
    track = settings.get(f"{EXTENSION}.track")
    if track and track.value == "none":
        return Check(
            name, Status.WARNING, f"{track.name} is none", _USE, f"{_WITHOUT} finds nothing", track.restore()
        )
    if (forgotten := evictions(connection)) and (size := settings.get(f"{EXTENSION}.max")):
        more = f"ALTER SYSTEM SET {size.name} = {int(size.value) * 2};"
        return Check(
            name,
            Status.WARNING,
            f"full: it forgot its rarest statements {forgotten:,} times ({size.name} = {size.value})",
            "what was forgotten is in no total, and searching what to forget takes a lock",
            f"{_WITHOUT} misses statements",
            (more, "-- restart the server"),
        )
    (sees_all,) = connection.execute(
        "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"
    ).fetchone() or (False,)
    if not sees_all:
        return Check(
            name,
            Status.WARNING,
            "this role may not see the statements of other roles",
            "their counts are there, without the text",
            f"{_WITHOUT} judges the statements of this role alone",
            (read_all_stats(connection),),
        )
    return Check(name, Status.OK, f"{EXTENSION} is installed, loaded and readable")


def hypopg(connection: Connection) -> Check:
    """Whether it is installed. Nothing is degraded without it."""
    row = connection.execute(
        "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'hypopg'"
    ).fetchone()
    default, installed = row or (None, None)
    state = (
        f"{installed} is installed" if installed else f"{default} is available" if default else "is absent"
    )
    return Check("hypopg", Status.OK, f"hypopg {state}, and not needed: indexes are tried by building them")
