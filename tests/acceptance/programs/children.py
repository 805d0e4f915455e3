"""A program with children of every kind; each runs five statements with its name and ends its own way.

python children.py [leaf NAME | stays FILE]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dbperf.workload.flush import flusher

engine = create_engine("sqlite://", poolclass=NullPool)


def ask(name: str, times: int = 5) -> None:
    with engine.connect() as connection:
        for _ in range(times):
            connection.execute(text(f"SELECT 1 AS {name}"))


def by_multiprocessing() -> None:
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        children = [context.Process(target=ask, args=(method,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0


def by_fork() -> None:
    if not os.fork():
        ask("forked")
        os._exit(0)
    os.wait()


def by_exec() -> None:
    if not os.fork():
        ask("before_exec")
        os.execv(sys.executable, [sys.executable, __file__, "leaf", "after_exec"])
    os.wait()


def by_double_fork(until: Callable[[int], bool]) -> None:
    """A grandchild that goes on when this program has ended, as a daemon does, until something is true."""
    reader, writer = os.pipe()
    if not os.fork():
        parent = os.getppid()
        if not os.fork():
            ask("daemon", 2)
            flusher.flush(30)
            os.write(writer, b"1")
            deadline = time.monotonic() + 30
            while not until(parent) and time.monotonic() < deadline:
                time.sleep(0.01)
            ask("daemon", 3)
            os._exit(0)
        os._exit(0)
    os.read(reader, 1)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


if __name__ == "__main__":
    if sys.argv[1:2] == ["leaf"]:
        ask(sys.argv[2])
    elif sys.argv[1:2] == ["stays"]:
        by_double_fork(lambda parent: os.path.exists(sys.argv[2]))
    else:
        ask("parent")
        by_multiprocessing()
        by_fork()
        by_exec()
        by_double_fork(lambda parent: not alive(parent))
        ask("parent")
