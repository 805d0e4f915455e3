"""Which frame is the application's, and which line it stands at."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType

import pytest
import sqlalchemy

from dbperf.capture import callsite
from dbperf.capture.slot import Slot
from dbperf.integrations import asgi
from dbperf.settings import Resolved

HERE = __file__


def frame_in(filename: str, inner: Callable[[], FrameType] = sys._getframe) -> FrameType:
    """A frame of a function whose code says it comes from `filename`, called from here."""
    names: dict[str, Callable[[Callable[[], FrameType]], FrameType]] = {}
    exec(compiled(filename), names)
    return names["called"](inner)


@cache
def compiled(filename: str) -> CodeType:
    return compile("def called(inner):\n    return inner()\n", filename, "exec")


def found(frame: FrameType, **settings: tuple[str, ...]) -> str | None:
    spot = callsite.finder(Resolved(**settings))(frame)  # type: ignore[arg-type]
    return callsite.call_site(spot.code, spot.lasti, 1).file if spot else None


@pytest.mark.parametrize(
    "library",
    [
        "<string>",
        "<frozen importlib._bootstrap>",
        os.path.join(os.path.dirname(os.__file__), "threading.py"),
        os.path.join(os.path.dirname(sqlalchemy.__file__), "orm", "strategies.py"),
        os.path.join(os.path.dirname(callsite.__file__), "wrap.py"),
        asgi.__file__,
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
            site = callsite.call_site(code, start, 3)
            assert (site.line in lines, site.line, site.calls) == (True, line, 3)


def test_a_comprehension_counts_as_its_function() -> None:
    frames = [sys._getframe() for _ in range(1)]
    spot = callsite.finder(Resolved())(frames[0])
    assert spot is not None
    site = callsite.call_site(spot.code, spot.lasti, 1)
    assert site.function == "test_a_comprehension_counts_as_its_function"
    assert site.file == str(Path(HERE))


def test_generated_file_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callsite, "_FILES_KEPT", 3)
    find = callsite.finder(Resolved())
    for number in range(10):
        spot = find(frame_in(f"/srv/generated_{number}.py"))
        assert spot is not None
        assert spot.code.co_filename == f"/srv/generated_{number}.py"


def test_a_line_is_known_again_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[FrameType | None] = []
    finder = callsite.finder

    def counted(settings: Resolved, *, hop: bool = False) -> callsite.Finder:
        find = finder(settings, hop=hop)
        return lambda frame: walks.append(frame) or find(frame)

    monkeypatch.setattr(callsite, "finder", counted)
    slot = Slot("select 1", None)
    record = partial(callsite.locator(Resolved(ignore_prefixes=(HERE,))), slot)
    directly = partial(frame_in, "<string>", record)
    through_more = partial(frame_in, "/x/site-packages/orm.py", directly)
    for _ in range(5):
        frame_in("/srv/shop/a.py", directly)
        frame_in("/srv/shop/b.py", through_more)
    assert len(slot.sites) == len(walks) == 2


def test_another_line_at_the_same_depth_is_another_site() -> None:
    slot = Slot("select 1", None)
    record = partial(callsite.locator(Resolved(ignore_prefixes=(HERE,))), slot)
    sites = []
    for _ in range(3):
        sites += [frame_in(f"/srv/shop/{each}.py", partial(frame_in, "<string>", record)) for each in "ab"]
    assert len(set(sites)) == len(slot.sites) == 2
