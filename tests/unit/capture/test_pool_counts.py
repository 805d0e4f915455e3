"""What a pool counts itself comes with what is seen of its engine: all of it, or what is new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool, StaticPool

from dbperf.capture import Capture
from dbperf.model.runtime import Figure
from dbperf.pool.metrics import Metrics
from dbperf.settings import Resolved

LINE = ("/srv/app.py", 12, "load")
HELD = "/srv/app.py:12 load"


class Counting(QueuePool):
    """A pool with counts of its own, which its successor goes on with."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.metrics = Metrics()
        self.most = 7

    def cap(self) -> int:
        return self.most

    def recreate(self) -> QueuePool:
        new = super().recreate()
        new.metrics = self.metrics  # type: ignore[attr-defined]
        return new


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}", poolclass=Counting)
    yield engine
    engine.dispose()


def metrics_of(engine: sa.Engine) -> Metrics:
    pool = engine.pool
    assert isinstance(pool, Counting)
    return pool.metrics


def capture_of(engine: sa.Engine) -> Capture:
    return Capture(engine, "here", Resolved())


def counted(figures: tuple[Figure, ...]) -> dict[str, dict[str, int]]:
    return {each.name: dict(each.counts) for each in figures if each.kind in ("pool", "held")}


def test_counts_are_of_the_pool_and_of_lines(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    metrics_of(engine).pool["decision.demand"] = 2
    metrics_of(engine).sites[LINE]["leaks"] = 1
    assert counted(capture.observations.seen().figures) == {
        "Counting": {"decision.demand": 2},
        HELD: {"leaks": 1},
    }


def test_what_is_new_is_told_once(engine: sa.Engine) -> None:
    capture, metrics = capture_of(engine), metrics_of(engine)
    metrics.pool["leaks"] = 2
    metrics.sites[LINE]["leaks"] = 2
    fresh = [counted(capture.observations.fresh().figures)]
    fresh.append(counted(capture.observations.fresh().figures))
    metrics.pool.update(leaks=1, refused=1)
    engine.dispose()  # the next pool goes on with the same counts
    fresh.append(counted(capture.observations.fresh().figures))
    assert fresh == [
        {"Counting": {"leaks": 2}, HELD: {"leaks": 2}},
        {},
        {"Counting": {"leaks": 1, "refused": 1}},
    ]
    assert counted(capture.observations.seen().figures)["Counting"] == {"leaks": 3, "refused": 1}


def test_what_was_counted_before_and_is_counted_after_is_not_ours(engine: sa.Engine) -> None:
    metrics_of(engine).pool["leaks"] = 5
    capture = capture_of(engine)
    metrics_of(engine).pool["leaks"] += 1
    capture.close()
    metrics_of(engine).pool["leaks"] += 10
    assert counted(capture.observations.seen().figures) == {"Counting": {"leaks": 1}}
    assert counted(capture.observations.fresh().figures) == {"Counting": {"leaks": 1}}
    assert counted(capture.observations.fresh().figures) == {}


def test_a_forked_child_starts_at_nothing(engine: sa.Engine) -> None:
    capture, metrics = capture_of(engine), metrics_of(engine)
    metrics.pool["leaks"] = 5
    metrics.sites[LINE]["leaks"] = 5
    capture.observations.fresh()
    metrics.pool["leaks"] += 1
    capture.forget()
    assert not capture.observations.seen().figures
    metrics.pool["leaks"] += 4  # fewer than before
    assert counted(capture.observations.fresh().figures) == {"Counting": {"leaks": 4}}
    metrics.clear()  # by somebody else
    metrics.pool["leaks"] += 3
    assert counted(capture.observations.fresh().figures) == {"Counting": {"leaks": 3}}


def test_the_limit_is_the_cap_as_it_is_now(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    told = []
    for most in (7, 3):
        engine.pool.most = most  # type: ignore[attr-defined]
        with engine.connect():
            pass
        told.append(counted(capture.observations.fresh().figures)["Counting"])
    assert [{key for key in each if key.startswith("limit")} for each in told] == [{"limit.7"}, {"limit.3"}]


def test_the_path_of_a_line_is_absolute_as_in_a_call_site(engine: sa.Engine) -> None:
    capture = capture_of(engine)
    metrics_of(engine).sites["app.py", 3, "f"]["leaks"] = 1
    metrics_of(engine).sites["", 0, ""]["leaks"] = 1
    names = counted(capture.observations.seen().figures).keys()
    assert names == {f"{os.path.abspath('app.py')}:3 f", ":0 "}


def test_a_pool_whose_metrics_are_something_else(tmp_path: Path) -> None:
    class Other(StaticPool):
        metrics = "of somebody"

    engine = sa.create_engine("sqlite://", poolclass=Other)
    capture = capture_of(engine)
    with engine.connect():
        pass
    assert counted(capture.observations.seen().figures)["Other"]["checkouts"] == 1
    engine.dispose()
