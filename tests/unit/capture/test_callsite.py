"""Which frame is the application's, and which line it stands at."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
import sqlalchemy

from dbperf.capture import callsite
from dbperf.settings import Resolved

HERE = __file__


def frame_in(filename: str, inner: Callable[[], FrameType] = sys._getframe) -> FrameType:
    """A frame of a function whose code says it comes from `filename`, called from here."""
    names: dict[str, Callable[[Callable[[], FrameType]], FrameType]] = {}
    exec(compile("def called(inner):\n    return inner()\n", filename, "exec"), names)
    return names["called"](inner)


def found(frame: FrameType, **settings: tuple[str, ...]) -> str | None:
    spot = callsite.finder(Resolved(**settings))(frame)  # type: ignore[arg-type]
    return callsite.call_site(spot, 1).file if spot else None


@pytest.mark.parametrize(
    "library",
    [
        "<string>",
        "<frozen importlib._bootstrap>",
        os.path.join(os.path.dirname(os.__file__), "threading.py"),
        os.path.join(os.path.dirname(sqlalchemy.__file__), "orm", "strategies.py"),
        os.path.join(os.path.dirname(os.path.dirname(callsite.__file__)), "wrap.py"),
        "/srv/venv/lib/python3.11/site-packages/flask/app.py",
        "/usr/lib/python3/dist-packages/flask/app.py",
    ],
)
def test_a_library_is_passed_over(library: str) -> None:
    assert found(frame_in(library)) == HERE


def test_the_innermost_frame_of_the_application_is_taken() -> None:
    assert found(frame_in("/srv/shop/orders.py")) == "/srv/shop/orders.py"


def test_an_ignored_folder_is_passed_over_and_one_with_a_longer_name_is_not() -> None:
    ignore = ("/srv/shop/db",)
    assert found(frame_in("/srv/shop/db/session.py"), ignore_prefixes=ignore) == HERE
    assert found(frame_in("/srv/shop/db2/session.py"), ignore_prefixes=ignore) == "/srv/shop/db2/session.py"


def test_one_file_can_be_ignored() -> None:
    assert found(frame_in("/srv/shop/db.py"), ignore_prefixes=("/srv/shop/db.py",)) == HERE


def test_the_application_may_be_installed() -> None:
    own = "/srv/venv/lib/python3.11/site-packages/shop"
    assert found(frame_in(f"{own}/orders.py"), app_prefixes=(own,)) == f"{own}/orders.py"
    assert found(frame_in(f"{own}/db.py"), app_prefixes=(own,), ignore_prefixes=(f"{own}/db.py",)) == HERE


def test_no_frame_of_the_application() -> None:
    folder = os.path.dirname(HERE)
    frame: FrameType | None = frame_in("<string>")
    site_packages = os.path.dirname(os.path.dirname(pytest.__file__))
    spot = callsite.finder(Resolved(ignore_prefixes=(folder, site_packages, *sys.path)))(frame)
    assert spot is None


def test_where_no_frame_is_the_application_s_the_innermost_library_is_meant() -> None:
    folder = os.path.dirname(HERE)
    storage, runner = (f"/srv/venv/lib/python3.11/site-packages/{name}.py" for name in ("storage", "runner"))
    frame = frame_in(runner, lambda: frame_in("<string>", lambda: frame_in(storage)))
    assert found(frame, ignore_prefixes=(folder,)) == storage


def test_the_line_is_the_one_the_frame_stands_at() -> None:
    def several_lines() -> tuple[FrameType, int]:
        frame, line = (
            sys._getframe(),
            sys._getframe().f_lineno,
        )
        return frame, line

    code = several_lines.__code__
    lines = {line for _, _, line in code.co_lines()}
    for start, _, line in code.co_lines():
        if line is not None:
            site = callsite.call_site((code, start), 3)
            assert (site.line in lines, site.line, site.calls) == (True, line, 3)


def test_a_comprehension_counts_as_its_function() -> None:
    frames = [sys._getframe() for _ in range(1)]
    spot = callsite.finder(Resolved())(frames[0])
    assert spot is not None
    site = callsite.call_site(spot, 1)
    assert site.function == "test_a_comprehension_counts_as_its_function"
    assert site.file == str(Path(HERE))


def test_generated_file_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callsite, "_FILES_KEPT", 3)
    find = callsite.finder(Resolved())
    for number in range(10):
        spot = find(frame_in(f"/srv/generated_{number}.py"))
        assert spot is not None
        assert spot[0].co_filename == f"/srv/generated_{number}.py"
