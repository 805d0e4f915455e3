"""What `dbperf record` puts into other people's Pythons, where no server and no SQLAlchemy is needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dbperf import recording
from dbperf.recording import environment

SITECUSTOMIZE = Path(recording.__file__).with_name("_record") / "sitecustomize.py"


def python(program: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | environment(str(folder), parameters=False) | more
    return subprocess.run(
        [sys.executable, "-c", program], env=variables, cwd="/", check=False, capture_output=True, text=True
    )


def test_it_is_read_by_old_pythons() -> None:
    ast.parse(SITECUSTOMIZE.read_text(), feature_version=(3, 6))


def test_an_old_python_leaves_a_note_and_nothing_else(tmp_path: Path) -> None:
    program = f"""
import runpy, sys
sys.version_info = (3, 9, 2)
before = list(sys.meta_path)
try:
    runpy.run_path({str(SITECUSTOMIZE)!r})
except ImportError as error:
    print(error.name, sys.meta_path == before)
"""
    done = python(program, tmp_path, PYTHONPATH="")
    assert (done.stdout, done.stderr) == ("sitecustomize True\n", "")
    assert (tmp_path / "python.note").read_text() == "3.9.2"


def test_without_sqlalchemy_next_to_nothing_is_loaded(tmp_path: Path) -> None:
    program = "import atexit, sys; print(sorted(sys.modules))"
    plain, ours = python(program, tmp_path, PYTHONPATH=""), python(program, tmp_path)
    assert (ours.stdout, ours.stderr) == (plain.stdout, "")
    assert [path.name for path in tmp_path.iterdir()] == ["started.note"]


def test_a_recording_that_is_over_harms_nobody(tmp_path: Path) -> None:
    program = (
        "import sqlalchemy as s; print(s.create_engine('sqlite://').connect().scalar(s.text('select 7')))"
    )
    done = python(program, tmp_path / "gone")
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_the_path_of_the_program_comes_after_ours_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = str(SITECUSTOMIZE.parent)
    for before, expected in (("", ours), (f"/a{os.pathsep}/b", os.pathsep.join((ours, "/a", "/b")))):
        monkeypatch.setenv("PYTHONPATH", before)
        assert environment("/x", parameters=False)["PYTHONPATH"] == expected
        monkeypatch.setenv("PYTHONPATH", expected)
        assert environment("/x", parameters=False)["PYTHONPATH"] == expected
