"""What an analysis of pgbench's scripts costs: `uv run python tests/bench/analyze.py [--scale 5]`.

The EXPLAINs and the indexes built are counted in the server's log, not in dbperf.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import psycopg

from dbperf.analysis import analyze
from dbperf.embedded import Server, start
from dbperf.workload.sources.sql_files import read_sql

LOG = {"logging_collector": "on", "log_directory": "log", "log_filename": "all.log", "log_statement": "all"}


def pgbench(server: Server, *arguments: str) -> str:
    where = ("-h", server.host, "-p", str(server.port), "-U", server.user)
    command = [server.bin / "pgbench", *where, *arguments, "postgres"]
    return subprocess.run(command, text=True, capture_output=True, check=True).stderr


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=int, default=5, help="100,000 accounts each")
    scale = options.parse_args().scale
    with start(settings=LOG) as server, tempfile.TemporaryDirectory() as folder:
        pgbench(server, "-i", "-s", str(scale), "--quiet")
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            for table in ("accounts", "tellers", "branches"):
                name = f"pgbench_{table}"
                connection.execute(f"ALTER TABLE {name} DROP CONSTRAINT {name}_pkey".encode())
        for script in ("tpcb-like", "select-only"):
            Path(folder, f"{script}.sql").write_text(pgbench(server, f"--show-script={script}"))
        workload = read_sql(Path(folder))
        log = server.folder / "data/log/all.log"
        for environment, verify in (("production", False), ("disposable", False), ("disposable", True)):
            before = len(log.read_text())
            started = perf_counter()
            report = analyze(workload, server.dsn(), environment=environment, verify=verify)
            seconds = perf_counter() - started
            said = log.read_text()[before:]
            explains, built = said.count(": EXPLAIN (FORMAT JSON)"), said.count(": CREATE INDEX")
            found = ", ".join(each.id for each in report.recommendations)
            how = f"{environment}{' --verify' if verify else ''}"
            print(f"{how:22} {seconds:6.2f} s  {explains:3} EXPLAINs  {built:2} indexes built  {found}")


if __name__ == "__main__":
    main()
