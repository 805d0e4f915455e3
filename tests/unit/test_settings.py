"""Keyword > environment > pyproject.toml > default, and one line for what cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbperf.errors import InputError
from dbperf.settings import Resolved, Settings, resolve


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of our own, with a pyproject.toml that stops the search upwards."""
    for variable in [each for each in os.environ if each.startswith("DBPERF_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    assert resolve() == Resolved()
    assert Resolved().enabled
    assert not Resolved().capture_parameters


def test_the_nearest_pyproject_is_read(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "pyproject.toml").write_text("[tool.dbperf]\nmax_statements = 7\napp_prefixes = ['/srv']\n")
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")
    assert resolve() == Resolved(max_statements=7, app_prefixes=("/srv",))


def test_the_environment_wins_over_pyproject(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "pyproject.toml").write_text("[tool.dbperf]\nmax_statements = 7\nenabled = true\n")
    monkeypatch.setenv("DBPERF_ENABLED", "0")
    assert resolve() == Resolved(max_statements=7, enabled=False)


def test_the_keyword_wins_over_all(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "pyproject.toml").write_text("[tool.dbperf]\nenabled = false\n")
    monkeypatch.setenv("DBPERF_ENABLED", "off")
    assert resolve(Settings(enabled=True)).enabled


def test_a_false_keyword_is_not_taken_for_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBPERF_CAPTURE_PARAMETERS", "yes")
    assert not resolve(Settings(capture_parameters=False)).capture_parameters
    assert resolve().capture_parameters


def test_paths_from_the_environment_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBPERF_IGNORE_PREFIXES", os.pathsep.join(["/srv/a", "", "/srv/b"]))
    assert resolve().ignore_prefixes == ("/srv/a", "/srv/b")


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("DBPERF_ENABLED", "maybe", "DBPERF_ENABLED: enabled takes 1 or 0, not 'maybe'"),
        ("DBPERF_POOL", "fair", "DBPERF_POOL: pool takes adaptive, fifo or sqlalchemy, not 'fair'"),
        ("DBPERF_MAX_STATEMENTS", "0", "max_statements takes a positive whole number, not 0"),
        ("DBPERF_MAX_STATEMENTS", "many", "max_statements takes a positive whole number, not 'many'"),
    ],
)
def test_an_unusable_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, says: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(InputError) as caught:
        resolve()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("max_statement = 1", "no setting 'max_statement'; known: "),
        ("enabled = 1", "enabled takes 1 or 0, not 1"),
        ("pool = 'fast'", "pool takes adaptive, fifo or sqlalchemy, not 'fast'"),
        ("pool = ['fifo']", "pool takes adaptive, fifo or sqlalchemy, not ['fifo']"),
        ("max_statements = true", "max_statements takes a positive whole number, not True"),
        ("app_prefixes = '/srv'", "app_prefixes takes a list of paths, not '/srv'"),
    ],
)
def test_an_unusable_pyproject_is_named(elsewhere: Path, table: str, says: str) -> None:
    (elsewhere / "pyproject.toml").write_text(f"[tool.dbperf]\n{table}\n")
    with pytest.raises(InputError) as caught:
        resolve()
    assert str(caught.value).startswith(str(elsewhere / "pyproject.toml"))
    assert says in str(caught.value)


def test_somebody_elses_broken_pyproject_is_not_ours_to_report(elsewhere: Path) -> None:
    (elsewhere / "pyproject.toml").write_text("[tool.dbperf\n")
    assert resolve() == Resolved()
