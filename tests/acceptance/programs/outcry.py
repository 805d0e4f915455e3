"""A program whose output, errors, warnings and exit code are to be the same with and without dbperf."""

from __future__ import annotations

import random
import sys
import threading
import traceback
import warnings

import sqlalchemy as sa

random.seed(7)
print(sys.argv, sys.path, "sitecustomize" in sys.modules, random.random())

try:
    sa.create_engine("no_such_dialect://")
except sa.exc.ArgumentError:
    traceback.print_exc()
try:
    sa.create_engine("sqlite://", no_such_keyword=1)
except TypeError:
    traceback.print_exc()

engine = sa.create_engine("sqlite://")
print(engine, sa.create_engine.__name__, sa.create_engine.__module__, len(threading.enumerate()))
with engine.begin() as connection:
    connection.execute(sa.text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    print(connection.execute(sa.insert(sa.table("t", sa.column("id"))), [{"id": 1}, {"id": 2}]).rowcount)
with engine.connect() as connection:
    try:
        connection.execute(sa.text("SELECT nothing"))
    except sa.exc.OperationalError:
        traceback.print_exc()
    print(connection.execute(sa.text("SELECT * FROM t")).all())
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()  # of no thread that is not the program's own
warnings.warn("a warning", stacklevel=1)
print(random.random(), file=sys.stderr)
with engine.begin() as connection:
    connection.execute(sa.text("INSERT INTO t VALUES (1)"))
