"""`dbperf record` puts this folder first on PYTHONPATH, so every Python that a program starts runs this.

It must do no harm in any Python from 3.6 on and in any environment, with or without dbperf: it never raises
or prints, and where SQLAlchemy is not imported it costs next to nothing. Notes in the recording's folder
say how far it got.
"""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGES = os.path.dirname(os.path.dirname(_HERE))
_HOOKED = "sqlalchemy.engine.create"


def _note(word: str, more: str = "") -> None:
    try:
        with open(os.path.join(os.environ["DBPERF_RECORD"], word + ".note"), "w") as file:
            file.write(more)
    except Exception:  # noqa: BLE001, S110  nobody is listening
        pass


def _harmlessly(function: "Any", *arguments: "Any") -> None:
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001  never into the program
        _note("failed", type(error).__name__)


class _Hook:
    """Finds `sqlalchemy.engine.create` as the others would, and patches it as soon as it has run."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name != _HOOKED:
            return None
        for finder in sys.meta_path:
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec = find_spec and find_spec(name, path, target)
            if spec is not None:
                _harmlessly(_patch_after, spec.loader)
                return spec
        return None


class _Dbperf:
    """Finds the dbperf that records, for an environment that has none."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":  # noqa: ARG002
        if name != "dbperf":
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, [_PACKAGES], target)


def _patch_after(loader: "Any") -> None:
    original = loader.exec_module

    def exec_module(module: "Any") -> None:
        del loader.exec_module
        original(module)
        _harmlessly(_patch, module)

    loader.exec_module = exec_module


def _patch(module: "Any") -> None:
    """Follow every engine: all functions that make one, sync or async, end in this one."""
    from functools import wraps

    original = module.create_engine

    @wraps(original)
    def create_engine(*args: "Any", **kw: "Any") -> "Any":
        try:
            engine = original(*args, **kw)
        except BaseException as error:
            # The traceback is the one the program would see without us.
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            raise
        _harmlessly(_follow, engine)
        return engine

    for name, loaded in list(sys.modules.items()):
        if name.partition(".")[0] == "sqlalchemy":
            for attribute, value in list(vars(loaded).items()):
                if value is original:
                    setattr(loaded, attribute, create_engine)


def _follow(engine: "Any") -> None:
    from dbperf import recording

    recording.follow(engine)
    flush = sys.modules.get("dbperf.workload.flush")
    if flush is not None:
        # `_finish` does it, later: it was registered before all else.
        atexit.unregister(flush.flusher.finish)


def _finish() -> None:
    flush = sys.modules.get("dbperf.workload.flush")
    if flush is not None:
        flush.flusher.finish()


def _begin() -> None:
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != _HERE]
    if "DBPERF_RECORD" not in os.environ:
        return
    _note("started")
    if sys.version_info < (3, 11):  # noqa: UP036  any Python may get here
        _note("python", "{}.{}.{}".format(*sys.version_info[:3]))
        return
    atexit.register(_finish)
    sys.meta_path.insert(0, _Hook())
    sys.meta_path.append(_Dbperf())
    if _HOOKED in sys.modules:
        _patch(sys.modules[_HOOKED])


_harmlessly(_begin)

# This folder is off sys.path, so what is imported now is what would have been without it: a sitecustomize of
# the program's, with all that it does and raises, or the ImportError that `site` expects where there is none.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402, F401
