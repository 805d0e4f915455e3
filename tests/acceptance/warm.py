"""The `dbperf` command from a process that has its imports behind it: one forked child a command line.

A fresh interpreter takes a second to import SQLAlchemy, psycopg and sqlglot, too long for a hundred command
lines. The child is a process like any other: files, signals, account and exit code are its own.

Each line of stdin is a JSON object (see `CommandLine`); the answer is the child's process id, and at its end
its exit code.
"""

import gc
import json
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

from dbperf.cli import main

import_module("encodings.utf_8_sig")  # another account may not be let in where Python is installed
for name in (
    "analysis",
    "cli.explain",
    "plans.doctor.postgres",
    "plans.postgres",
    "report.checkup",
    "report.json",
    "report.terminal",
    "report.tree",
    "workload.file",
    "workload.sources.sql_files",
):
    import_module(f"dbperf.{name}")


def child(order: dict[str, Any]) -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(order["folder"])
    os.umask(0o022)
    if order["user"] is not None:
        os.setgid(order["user"])
        os.setuid(order["user"])
    sys.argv = ["dbperf", *order["arguments"]]
    main()


gc.freeze()  # so that a child's garbage collector does not copy what it shares with us

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        child(json.loads(line))
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
