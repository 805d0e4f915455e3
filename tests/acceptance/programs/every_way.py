"""A program that makes engines in every way there is; each runs a statement named after it.

python every_way.py FOLDER
"""

import atexit
import sys
import threading

atexit.register(lambda: ask(create_engine("sqlite://"), "at_exit"))  # runs after what is registered later

import asyncio  # noqa: E402

from sqlalchemy import Engine, create_engine, engine_from_config, event, text  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine  # noqa: E402

import dbperf  # noqa: E402

folder = sys.argv[1]


def ask(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SELECT :a AS {name}"), {"a": 7})


async def ask_async(engine: AsyncEngine, name: str) -> None:
    async with engine.connect() as connection:
        await connection.execute(text(f"SELECT :a AS {name}"), {"a": 7})
    await engine.dispose()


def in_threads(engine: Engine) -> None:
    def work() -> None:
        for _ in range(25):
            ask(engine, "thread")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


plain = create_engine("sqlite://")
ask(plain, "plain")
ask(plain.execution_options(isolation_level="SERIALIZABLE"), "copy")
ask(engine_from_config({"sqlalchemy.url": "sqlite://"}), "config")
ask(create_engine("sqlite://?plugin=dbperf"), "plugin")
ask(dbperf.create_engine("sqlite://"), "own")
ask(dbperf.create_engine("sqlite://", dbperf=dbperf.Settings(store=f"{folder}/own.sqlite")), "own_store")
ask(dbperf.create_engine("sqlite://", dbperf=dbperf.Settings(capture_parameters=True)), "own_parameters")
ask(create_engine("sqlite://", execution_options={"dbperf_internal": True}), "internal")
listening = create_engine("sqlite://")
event.listen(listening, "before_cursor_execute", lambda *_: None)
ask(listening, "listening")
again = create_engine("sqlite://")
assert dbperf.instrument(again) is dbperf.perf(again)
ask(again, "instrumented_again")
closed = create_engine("sqlite://")
ask(closed, "before_close")
dbperf.perf(closed).close()
ask(closed, "after_close")
for _ in range(3):
    ask(create_engine("sqlite://"), "gone")  # garbage at once
asyncio.run(ask_async(create_async_engine("sqlite+aiosqlite://"), "asynchronous"))
in_threads(create_engine(f"sqlite:///{folder}/threads.sqlite"))
