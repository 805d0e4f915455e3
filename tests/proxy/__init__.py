"""A TCP proxy in this process that breaks the network on demand.

    with Proxy(("127.0.0.1", 5432)) as proxy:  # or the path of a Unix socket
        connect(port=proxy.port)
        proxy.blackhole()

Each method takes effect, for connections that exist and for those to come, before it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

Target = tuple[str, int] | str | Path
_CHUNK = 1 << 16
_Held = asyncio.Queue[tuple[float, bytes]]
"""When each piece is due, and the piece; an empty one is the end."""


class Proxy:
    """Forwards what comes to `port` of 127.0.0.1 to the target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._delay = 0.0
        # Not epoll, whose timeouts are whole milliseconds.
        self._loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._passing = asyncio.Event()
        self._passing.set()
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *exception: object) -> None:
        self.reset()
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._socket.close()

    def pass_through(self) -> None:
        """Forward, first of all what was held."""
        self._do(self._pass_through())

    def blackhole(self) -> None:
        """Forward nothing; connections stay open, and new ones are accepted."""
        self._do(self._blackhole())

    def strand(self) -> None:
        """Forward nothing more for connections that exist now, but for new ones: a failover."""
        self._do(self._strand())

    def reset(self) -> None:
        """Reset all connections that exist now."""
        self._do(self._reset())

    def refuse(self) -> None:
        """Refuse new connections; those that exist stay."""
        self._do(self._refuse())

    def listen(self) -> None:
        """Accept new connections, after `refuse`."""
        self._do(self._listen())

    def delay(self, seconds: float) -> None:
        """Forward all that comes from now on so much later, in each direction; in order and at full speed."""
        self._do(self._set_delay(seconds))

    def _do(self, change: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(change, self._loop).result(10)

    async def _pass_through(self) -> None:
        self._passing.set()

    async def _blackhole(self) -> None:
        self._passing.clear()

    async def _strand(self) -> None:
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    async def _set_delay(self, seconds: float) -> None:
        self._delay = seconds

    async def _reset(self) -> None:
        connections = self._connections.copy()
        for task, writers in connections.items():
            for writer in writers:
                _reset(writer)
            task.cancel()
        if connections:
            await asyncio.wait(connections)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            # A socket that is bound and does not listen refuses, and keeps the port for us.
            self._socket = _bound(self.port)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=self._socket, backlog=512)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers = self._connections[task] = [writer]
        passing = self._passing  # of its own, once it is stranded
        self.accepted += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                await passing.wait()
                if isinstance(self._target, tuple):
                    there, back = await asyncio.open_connection(*self._target)
                else:
                    there, back = await asyncio.open_unix_connection(self._target)
                writers.append(back)
                await asyncio.gather(self._pump(reader, back, passing), self._pump(there, writer, passing))
            finally:
                del self._connections[task]
                for each in writers:
                    each.transport.abort()  # all that was to be sent is sent, or nobody wants it

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        held: _Held = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take(reader, held))
            group.create_task(self._give(held, writer, passing))

    async def _take(self, reader: asyncio.StreamReader, held: _Held) -> None:
        data = b" "
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = b""
            held.put_nowait((self._loop.time() + self._delay, data))

    async def _give(self, held: _Held, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        data = b" "
        while data:
            due, data = await held.get()
            if (early := due - self._loop.time()) > 0:
                await asyncio.sleep(early)
            await passing.wait()
            with contextlib.suppress(OSError):  # its other end is gone: take what comes, and forget it
                if data:
                    writer.write(data)
                    await writer.drain()
                elif writer.can_write_eof():
                    writer.write_eof()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _reset(writer: asyncio.StreamWriter) -> None:
    own = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed already
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
