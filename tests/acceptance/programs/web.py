"""An application for uvicorn (`web:asgi`) and for gunicorn (`web:wsgi`): one statement a request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

asgi = FastAPI()
_async_engine = create_async_engine("sqlite+aiosqlite://")
_engine = create_engine("sqlite://")


@asgi.get("/")
async def answer() -> int:
    async with _async_engine.connect() as connection:
        await connection.execute(text("SELECT 1 AS asked"))
    return os.getpid()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    with _engine.connect() as connection:
        connection.execute(text("SELECT 1 AS asked"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
