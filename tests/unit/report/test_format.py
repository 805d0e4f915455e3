from __future__ import annotations

from pathlib import Path

import pytest

from dbperf.model.workload import CallSite
from dbperf.report.format import cost, duration, factor, percent_change, place, plural, size


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (1e-12, "0 ns"),
        (8.5e-7, "850 ns"),
        (1.2e-4, "120 µs"),
        (9.996e-4, "1.00 ms"),
        (0.0343, "34.3 ms"),
        (0.9999, "1.00 s"),
        (9.999, "10.0 s"),
        (52, "52.0 s"),
        (1234.4, "1,234 s"),
        (-0.002, "-2.00 ms"),
        (float("nan"), "unknown"),
        (float("inf"), "unknown"),
    ],
)
def test_duration(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("octets", "told"),
    [(1, "1 byte"), (0, "0 bytes"), (8192, "8.00 kB"), (33_685_504, "32.1 MB"), (1 << 31, "2.00 GB")],
)
def test_size_counts_kilobytes_as_postgresql_does(octets: int, told: str) -> None:
    assert size(octets) == told


@pytest.mark.parametrize(
    ("units", "told"), [(24310.5, "24,310"), (8.44, "8.44"), (0.0, "0.00"), (99.96, "100")]
)
def test_cost_has_no_unit(units: float, told: str) -> None:
    assert cost(units) == told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (41.2, 0.144, "286x faster"),
        (10.0, 5.0, "2.0x faster"),
        (99.7, 10.0, "10x faster"),
        (1.07, 1.0, "1.07x faster"),
        (1.0, 1.3, "1.3x slower"),
        (1.0, 1.04, "no difference"),
        (1.0, 0.0, ""),
        (0.0, 1.0, ""),
        (float("nan"), 1.0, ""),
    ],
)
def test_factor(before: float, after: float, told: str) -> None:
    assert factor(before, after) == told


def test_plural() -> None:
    told = [plural(1, "call"), plural(1200, "call"), plural(3, "missing index"), plural(2, "query")]
    assert told == ["1 call", "1,200 calls", "3 missing indexes", "2 queries"]


def test_a_path_is_relative_below_the_working_directory_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place(CallSite(str(tmp_path / "shop" / "orders.py"), 42, "f", 1)) == "shop/orders.py:42"
    assert place(CallSite(str(tmp_path) + "-other/orders.py", 7, "f", 1)) == f"{tmp_path}-other/orders.py:7"
    library = tmp_path / ".venv/lib/python3.11/site-packages/flask/app.py"
    assert place(CallSite(str(library), 7, "f", 1)) == "flask/app.py:7"


def test_a_path_survives_a_removed_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert place(CallSite("/srv/shop.py", 7, "f", 1)) == "/srv/shop.py:7"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (100, 13, "\N{MINUS SIGN}87%"),
        (100, 112, "+12%"),
        (1, 50, "+4,900%"),
        (24310.5, 8.44, "\N{MINUS SIGN}99.9%"),
        (100, 0, "\N{MINUS SIGN}100%"),
        (0, 5, ""),
        (5, float("nan"), ""),
        (float("inf"), 5, ""),
    ],
)
def test_percent_change(before: float, after: float, told: str) -> None:
    assert percent_change(before, after) == told
