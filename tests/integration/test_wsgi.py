"""Requests to Flask and other WSGI applications as operations."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask, abort, request, stream_with_context
from sqlalchemy.pool import StaticPool
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import dbperf
from dbperf.capture.scope import current
from dbperf.integrations.wsgi import DbperfMiddleware
from dbperf.model.runtime import Operation


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = dbperf.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()
    assert current.get() is None


def ask(engine: sa.Engine, word: str = "x") -> str:
    with engine.connect() as connection:
        return str(connection.execute(sa.text(f"SELECT 1 AS {word}")).scalar())


def told(engine: sa.Engine) -> dict[str, Operation]:
    return {each.name: each for each in dbperf.perf(engine).workload().operations}


def callers(engine: sa.Engine, word: str = "x") -> dict[str, int]:
    """The operations that ran a statement, and how often."""
    statements = dbperf.perf(engine).workload().statements
    (found,) = [each for each in statements if each.sql.endswith(f" AS {word}")]
    return dict(found.operations)


def flask(engine: sa.Engine) -> Flask:
    app, blueprint = Flask("app"), Blueprint("users", __name__)

    @blueprint.get("/<int:user_id>")
    def read(user_id: int) -> str:
        request.environ["dbperf.operation"].marker("routed")
        return ask(engine)

    @app.get("/export/<name>")
    def export(name: str) -> Any:
        @stream_with_context
        def rows() -> Iterator[str]:
            with dbperf.track("rows"):
                yield ask(engine)
                yield ask(engine)
            yield ask(engine, "end")

        return rows()

    @app.get("/fail/<how>")
    def fail(how: str) -> str:
        ask(engine)
        if how == "raise":
            raise ValueError(how)
        abort(int(how))

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        ask(engine, "torn_down")

    app.register_blueprint(blueprint, url_prefix="/users")
    app.wsgi_app = DbperfMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    return app


def test_flask(engine: sa.Engine) -> None:
    client = flask(engine).test_client()
    for user in range(3):
        assert client.get(f"/users/{user}").text == "1"
        assert current.get() is None
    name = "GET /users/<int:user_id>"
    assert callers(engine) == callers(engine, "torn_down") == {name: 3}
    assert (told(engine)[name].calls, told(engine)[name].errors, told(engine)[name].statements) == (3, 0, 6)
    assert told(engine)[name].markers["routed"][0] == 3


def test_a_client_that_looks_at_what_it_asked_for(engine: sa.Engine) -> None:
    with flask(engine).test_client() as client:
        client.get("/users/7", buffered=True)
        assert request.path == "/users/7"
    assert list(told(engine)) == ["GET /users/<int:user_id>"]


def test_a_path_is_never_a_name(engine: sa.Engine) -> None:
    client = flask(engine).test_client()
    for method, path in (("GET", "/nowhere/1"), ("GET", "/nowhere/2"), ("BREW", "/users/1")):
        client.open(path, method=method, buffered=True)
    assert {name: each.calls for name, each in told(engine).items()} == {
        "GET (no route)": 2,
        "HTTP (no route)": 1,
    }


def test_a_stream_is_part_of_its_request_and_another_request_meanwhile_is_not(engine: sa.Engine) -> None:
    client = flask(engine).test_client()
    export = client.get("/export/all", buffered=False)
    parts = export.iter_encoded()
    assert next(parts) == b"1"
    client.get("/users/1", buffered=True)
    assert ask(engine, "outside") == "1"
    assert [*parts] == [b"1", b"1"]
    export.close()
    assert callers(engine) == {"rows": 2, "GET /users/<int:user_id>": 1}
    assert callers(engine, "end") == {"GET /export/<name>": 1}
    assert callers(engine, "outside") == {}
    assert (
        told(engine)["GET /export/<name>"].statements
        == 3 + callers(engine, "torn_down")["GET /export/<name>"]
    )


def test_a_stream_that_nobody_reads_to_its_end(engine: sa.Engine) -> None:
    client = flask(engine).test_client()
    with client.get("/export/all") as export:
        next(export.iter_encoded())
    client.get("/export/all")  # as tests do that look at a status alone
    gc.collect()
    assert {name: each.calls for name, each in told(engine).items()} == {"GET /export/<name>": 2, "rows": 2}
    assert callers(engine) == {"rows": 2}  # Flask begins a stream before it is asked for


def test_errors(engine: sa.Engine) -> None:
    app = flask(engine)
    for propagated in (False, True):
        app.config["PROPAGATE_EXCEPTIONS"] = propagated
        for how in ("raise", "503", "404"):
            try:
                app.test_client().get(f"/fail/{how}", buffered=True)
            except ValueError:
                assert (propagated, how) == (True, "raise")
    found = told(engine)["GET /fail/<how>"]
    assert (found.calls, found.errors) == (6, 4)


def test_an_application_that_is_mounted(engine: sa.Engine) -> None:
    app = DbperfMiddleware(DispatcherMiddleware(flask(engine), {"/shop": flask(engine)}))
    client = Client(app)
    for path in ("/users/1", "/shop/users/2", "/shop/users/3"):
        client.get(path, buffered=True)
    assert callers(engine) == {"GET /shop/users/<int:user_id>": 2, "GET /users/<int:user_id>": 1}


def serve(app: Any) -> tuple[Any, list[str]]:
    """What an application returns to its server, and the status it began with."""
    environ: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    begun: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        begun.append(status)
        return lambda _: None

    return app(environ, start_response), begun


def test_what_servers_treat_in_their_own_way_stays_what_it_is(engine: sa.Engine) -> None:
    for body in ([b"a list"], (b"a", b"tuple"), FileWrapper(BytesIO(b"a file"))):

        def app(environ: dict[str, Any], start_response: Any, body: Any = body) -> Any:
            environ["dbperf.operation"].name = "plain"
            ask(engine)
            start_response("500 Oh No", headers=[], exc_info=None)
            return body

        assert serve(DbperfMiddleware(app)) == (body, ["500 Oh No"])
    assert (told(engine)["plain"].calls, told(engine)["plain"].errors) == (3, 3)


class Body:
    """Runs statements in each part, and as it is closed."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.left = engine, 2

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise ValueError("a part that cannot be made")
        self.left -= 1
        return ask(self.engine).encode()

    def close(self) -> None:
        ask(self.engine, "closing")


def test_any_application(engine: sa.Engine) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(engine)

    name = "GET (no route)"
    body, _ = serve(validator(DbperfMiddleware(validator(app))))
    assert next(iter(body)) == b"1"
    body.close()
    assert callers(engine) == callers(engine, "closing") == {name: 1}

    body, _ = serve(DbperfMiddleware(app))
    with pytest.raises(ValueError, match="cannot be made"):
        list(body)
    body.close()
    assert callers(engine) == {name: 3}
    assert (told(engine)[name].calls, told(engine)[name].errors) == (2, 1)


def test_one_that_fails_at_once(engine: sa.Engine) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        ask(engine)
        raise KeyError("of the application")

    with dbperf.track("test"):
        with pytest.raises(KeyError, match="of the application"):
            serve(DbperfMiddleware(app))
        ask(engine)
    assert callers(engine) == {"GET (no route)": 1, "test": 1}
    assert told(engine)["GET (no route)"].errors == 1
    assert (told(engine)["test"].errors, told(engine)["test"].statements) == (0, 2)
