"""Requests to FastAPI and Starlette as operations, on PostgreSQL: each statement knows which one ran it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import dbperf
from dbperf.capture.scope import current
from dbperf.integrations.asgi import DbperfMiddleware
from dbperf.integrations.starlette import Routes
from dbperf.model.runtime import Operation

Client = httpx.AsyncClient


@pytest.fixture
def engine(psycopg_url: str) -> Iterator[sa.Engine]:
    engine = dbperf.create_engine(psycopg_url)
    yield engine
    engine.dispose()
    assert current.get() is None


def ask(engine: sa.Engine, word: str = "x") -> None:
    with engine.connect() as connection:
        connection.execute(sa.text(f"SELECT 1 AS {word}"))


async def ask_async(engine: AsyncEngine, word: str = "x") -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.text(f"SELECT 1 AS {word}"))


def told(engine: sa.Engine | AsyncEngine) -> dict[str, Operation]:
    return {each.name: each for each in dbperf.perf(engine).workload().operations}


def calls(engine: sa.Engine | AsyncEngine) -> dict[str, int]:
    return {name: each.calls for name, each in told(engine).items()}


def callers(engine: sa.Engine | AsyncEngine, word: str = "x") -> dict[str, int]:
    """The operations that ran a statement, and how often."""
    statements = dbperf.perf(engine).workload().statements
    (found,) = [each for each in statements if each.sql.endswith(f" AS {word}")]
    return dict(found.operations)


def visit(app: Any, visits: Callable[[Client], Awaitable[Any]]) -> None:
    async def main() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with Client(transport=transport, base_url="http://test") as client:
            await visits(client)

    asyncio.run(main())


def get(app: Any, *paths: str) -> None:
    async def visits(client: Client) -> None:
        for path in paths:
            await client.get(path)

    visit(app, visits)


@pytest.mark.parametrize("outside", [False, True])
def test_synchronous_endpoints_run_in_threads(engine: sa.Engine, outside: bool) -> None:
    app = FastAPI()

    def user(user_id: int) -> int:
        ask(engine, "depended")
        return user_id

    @app.get("/users/{user_id}")
    def read(user_id: int, request: Request) -> int:
        ask(engine)
        request.scope["dbperf.operation"].marker("asked")
        return user(user_id)

    if not outside:
        app.add_middleware(DbperfMiddleware)
    get(DbperfMiddleware(app) if outside else app, "/users/1", "/users/2")
    assert callers(engine) == callers(engine, "depended") == {"GET /users/{user_id}": 2}
    found = told(engine)["GET /users/{user_id}"]
    assert (found.calls, found.errors, found.statements) == (2, 0, 4)
    assert found.markers["asked"][0] == 2


def test_concurrent_requests(asyncpg_url: str) -> None:
    async def main() -> AsyncEngine:
        engine = dbperf.create_async_engine(asyncpg_url)
        everybody = asyncio.Barrier(8)
        app = FastAPI()
        app.add_middleware(DbperfMiddleware)

        @app.get("/a/{number}")
        async def a(number: int) -> None:
            await ask_async(engine)
            await everybody.wait()
            await ask_async(engine)

        @app.get("/b/{number}")
        async def b(number: int) -> None:
            await everybody.wait()
            with dbperf.track("step"):
                await asyncio.gather(*(ask_async(engine) for _ in range(3)))
            await ask_async(engine, "y")

        async with Client(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await asyncio.gather(*(client.get(f"/{'ab'[each % 2]}/{each}") for each in range(8)))
        await engine.dispose()
        return engine

    engine = asyncio.run(main())
    assert callers(engine) == {"step": 12, "GET /a/{number}": 8}
    assert callers(engine, "y") == {"GET /b/{number}": 4}
    assert {name: (each.calls, each.statements) for name, each in told(engine).items()} == {
        "GET /a/{number}": (4, 8),
        "GET /b/{number}": (4, 16),
        "step": (4, 12),
    }


def test_routes_of_routers_and_mounts(engine: sa.Engine) -> None:
    def endpoint(**_: Any) -> None:
        ask(engine)

    def named(app: FastAPI | APIRouter, path: str) -> None:
        @app.api_route(path, methods=["GET", "POST"])
        def read() -> None:
            ask(engine)

    inner, router, sub, app = APIRouter(), APIRouter(), FastAPI(), FastAPI()
    named(inner, "/things/{thing}")
    named(sub, "/items/{item}")
    named(sub, "/")
    router.include_router(inner, prefix="/in")
    app.include_router(router, prefix="/api/{version}")
    app.mount("/shops/{shop}", sub)
    app.mount("/", Starlette(routes=[Mount("/m/{n:int}", routes=[Route("/z/{rest:path}", plain)])]))
    get(
        DbperfMiddleware(app),
        "/api/v1/in/things/1",
        "/api/in/in/things/things",
        "/shops/7/items/7",
        "/shops/items/items/items",
        "/shops/7/",
        "/m/3/z/a/b/c",
        "/m/003/z/a",
    )
    assert callers(engine) == {
        "GET /api/{version}/in/things/{thing}": 2,
        "GET /shops/{shop}/items/{item}": 2,
        "GET /shops/{shop}/": 1,
    }
    assert calls(engine) == callers(engine) | {"GET /m/{n}/z/{rest}": 1, "GET /z/{rest}": 1}


def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


def test_a_path_is_never_a_name(engine: sa.Engine) -> None:
    app, sub = FastAPI(), FastAPI()
    app.mount("/sub/{tenant}", sub)
    app.get("/users/{user_id}")(lambda user_id: user_id)

    async def visits(client: Client) -> None:
        for path in ("/nowhere/1", "/nowhere/2", "/users/1/"):
            await client.get(path)
        await client.get("/sub/me/nowhere")
        await client.post("/users/1")
        await client.request("BREW", "/users/1")

    visit(DbperfMiddleware(app), visits)
    names = calls(engine)
    assert names.pop("GET (no route)") == 3
    assert names == {"GET /sub/{tenant}/{path}": 1, "POST /users/{user_id}": 1, "HTTP /users/{user_id}": 1}


def test_a_prefix_of_many_forms_is_left_out() -> None:
    class Taken:
        path_format = "/items/{id}"

    routes = Routes()
    found = [
        routes.find({"route": Taken, "path_params": {"id": "1"}}, f"/shop-{number}/items/1")
        for number in range(100)
    ]
    assert found[0] == "/shop-0/items/{id}"
    assert len(set(found)) == 33
    assert found[-1] == "/items/{id}"
    assert routes.find({"type": "http"}, "/x") == ""


def test_errors(engine: sa.Engine) -> None:
    app = FastAPI()

    @app.get("/{how}")
    async def read(how: str) -> None:
        ask(engine)
        if how == "raise":
            raise ValueError
        raise HTTPException(int(how))

    get(DbperfMiddleware(app), "/raise", "/503", "/404")
    found = told(engine)["GET /{how}"]
    assert (found.calls, found.errors, found.statements) == (3, 2, 3)


def test_streams_and_background_tasks_are_part_of_a_request(engine: sa.Engine) -> None:
    app = FastAPI()

    @app.get("/stream")
    def stream() -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            for _ in range(3):
                ask(engine)
                yield "row"

        return StreamingResponse(rows())

    @app.get("/later")
    def later(tasks: BackgroundTasks) -> None:
        tasks.add_task(ask, engine)

    get(DbperfMiddleware(app), "/stream", "/later")
    assert callers(engine) == {"GET /stream": 3, "GET /later": 1}
    assert told(engine)["GET /stream"].statements == 3


def test_behind_middleware_that_runs_the_endpoint_in_a_task(engine: sa.Engine) -> None:
    async def dispatch(request: Request, call_next: Any) -> Any:
        async with dbperf.track("middleware"):
            ask(engine, "before")
            response = await call_next(request)
        ask(engine, "after")
        return response

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    app.add_middleware(DbperfMiddleware)

    @app.get("/users/{user_id}")
    async def read(user_id: int) -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            ask(engine)
            yield "row"

        return StreamingResponse(rows())

    get(app, "/users/1")
    assert callers(engine, "before") == {"middleware": 1}
    assert callers(engine, "after") == {"GET /users/{user_id}": 1}
    assert calls(engine) == {"middleware": 1, "GET /users/{user_id}": 1}


def test_each_message_of_a_websocket(engine: sa.Engine) -> None:
    app, sub = FastAPI(), FastAPI()
    app.mount("/live", sub)
    app.add_middleware(DbperfMiddleware)
    sub.add_middleware(DbperfMiddleware)  # once is enough

    @sub.websocket("/rooms/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        ask(engine, "connecting")
        await socket.accept()
        async for message in socket.iter_text():
            ask(engine)
            if message == "break":
                raise ValueError("broken")
            await socket.send_text(message)
        ask(engine, "leaving")

    with TestClient(app) as client:  # which runs the lifespan, too
        with client.websocket_connect("/live/rooms/7") as socket:
            for _ in range(3):
                socket.send_text("hello")
                assert socket.receive_text() == "hello"
        with pytest.raises(ValueError, match="broken"), client.websocket_connect("/live/rooms/8") as socket:
            socket.send_text("break")
    name = "WS /live/rooms/{room}"
    found = told(engine)
    assert list(found) == [name]
    assert (found[name].calls, found[name].errors, found[name].statements) == (7, 1, 7)
    assert [callers(engine, each)[name] for each in ("connecting", "x", "leaving")] == [2, 4, 1]


def test_a_cancelled_request_is_no_error(engine: sa.Engine) -> None:
    async def main() -> None:
        began = asyncio.Event()

        async def endless(scope: Any, receive: Any, send: Any) -> None:
            scope["dbperf.operation"].name = "endless"
            ask(engine)
            began.set()
            await asyncio.Future()

        scope = {"type": "http", "method": "GET", "path": "/"}
        task = asyncio.create_task(DbperfMiddleware(endless)(scope, None, None))  # type: ignore[arg-type]
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (told(engine)["endless"].calls, told(engine)["endless"].errors) == (1, 0)
    assert callers(engine) == {"endless": 1}
