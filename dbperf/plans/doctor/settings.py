"""Settings that hide what a server does, or bend its plans."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from dbperf.model.checkup import Check, Status
from dbperf.plans.connect import Connection

_STATISTICS_TARGET = 100
"""PostgreSQL's default."""
# These outrank what SQL can set.
_BEYOND_SQL = {
    "command line": "the server's command line, and restart it",
    "environment variable": "the server's environment, and restart it",
    "client": "the options of this connection (--db, PGOPTIONS)",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of pg_settings; the role and the database are quoted for SQL."""

    name: str
    value: str
    boot: str
    source: str
    role: str
    database: str

    def restore(self) -> tuple[str, ...]:
        """The statements that bring the server's built-in value back, there where another one was set."""
        return self._change(f"RESET {self.name}", self.boot)

    def change(self, value: str) -> tuple[str, ...]:
        """The statements that set it to `value`, there where it was set."""
        return self._change(f"SET {self.name} = {sql.quote(value)}", value)

    def _change(self, action: str, value: str) -> tuple[str, ...]:
        places = {
            "database": f"DATABASE {self.database}",
            "user": f"ROLE {self.role}",
            "database user": f"ROLE {self.role} IN DATABASE {self.database}",
        }
        if place := places.get(self.source):
            return (f"ALTER {place} {action};",)
        if out_of := _BEYOND_SQL.get(self.source):
            return (f"-- take {self.name} out of {out_of}",)
        return (f"ALTER SYSTEM SET {self.name} = {sql.quote(value)};", "SELECT pg_reload_conf();")


def read_settings(connection: Connection, pattern: str) -> list[Setting]:
    """The settings whose name is LIKE `pattern`, as a new session of this role has them."""
    with connection.cursor(row_factory=class_row(Setting)) as cursor:
        return cursor.execute(
            "SELECT name, reset_val AS value, boot_val AS boot, source, quote_ident(current_user) AS role,"
            " quote_ident(current_database()) AS database FROM pg_settings WHERE name LIKE %s ORDER BY name",
            (pattern,),
        ).fetchall()


def read_setting(connection: Connection, name: str) -> Setting:
    """One setting. Raises psycopg.Error where this server has none of that name."""
    for each in read_settings(connection, name.replace("_", r"\_")):
        return each
    raise psycopg.errors.UndefinedObject(f"this server has no setting {name}")


def statistics_target(connection: Connection) -> Check:
    """Whether ANALYZE samples less than by default."""
    setting = read_setting(connection, "default_statistics_target")
    name, found = "statistics-target", f"default_statistics_target is {setting.value}"
    if int(setting.value) >= _STATISTICS_TARGET:
        return Check(name, Status.OK, found)
    return Check(
        name,
        Status.WARNING,
        f"{found}, below PostgreSQL's own {_STATISTICS_TARGET}",
        "ANALYZE keeps fewer frequent values and coarser histograms: the planner misjudges skewed columns",
        "plans and the parameter values made from statistics are less like the real ones",
        (*setting.restore(), "ANALYZE;"),
    )


def planner_methods(connection: Connection) -> Check:
    """Whether plan types are switched off that are on by default."""
    name = "planner-methods"
    off = [
        each for each in read_settings(connection, r"enable\_%") if (each.value, each.boot) == ("off", "on")
    ]
    if not off:
        return Check(name, Status.OK, "no plan type is switched off")
    return Check(
        name,
        Status.WARNING,
        f"plan types switched off: {', '.join(f'{each.name} ({each.source})' for each in off)}",
        "the planner avoids these plans for every statement, also where they are the best by far",
        "advice is for a planner with its hands tied: what is found missing may only be forbidden",
        tuple(dict.fromkeys(fix for each in off for fix in each.restore())),
    )


def track_io_timing(connection: Connection) -> Check:
    """Whether the server times its reads and writes."""
    setting = read_setting(connection, "track_io_timing")
    if setting.value == "on":
        return Check("track-io-timing", Status.OK, "track_io_timing is on")
    return Check(
        "track-io-timing",
        Status.INFO,
        "track_io_timing is off",
        "neither EXPLAIN (ANALYZE, BUFFERS) nor pg_stat_statements can tell waiting for the disk from work;"
        " pg_test_timing says what a clock reading costs on this machine",
        "",
        setting.change("on"),
    )


def compute_query_id(connection: Connection) -> Check:
    """Whether statements get the id that pg_stat_statements counts them by."""
    setting = read_setting(connection, "compute_query_id")
    found = f"compute_query_id is {setting.value}"
    if setting.value != "off":
        return Check("compute-query-id", Status.OK, found)
    return Check(
        "compute-query-id",
        Status.WARNING,
        found,
        "without an id, pg_stat_statements counts nothing and logs cannot be matched to it",
        "analyze --from pg_stat_statements finds no statement",
        setting.restore(),
    )
