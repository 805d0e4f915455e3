"""Of every shape exactly what its comments say is found, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

import dbperf
from dbperf.advice.usage import on_usage
from dbperf.model.recommendation import Recommendation
from shapes import one_by_one, wasted, well_done
from shapes.models import fill
from shapes.shape import SHAPES, Expected, Shape

assert one_by_one
assert wasted
assert well_done


def findings(shape: Shape, url: sa.URL) -> list[Recommendation]:
    found: list[Recommendation] = []

    @contextmanager
    def watched(engine: Any) -> Iterator[None]:
        perf = dbperf.instrument(engine)
        with dbperf.track(shape.name):
            yield
        found.extend(on_usage(perf.workload()))
        perf.close()

    shape.run_on(url, watched)
    return found


def told(found: list[Recommendation]) -> set[tuple[str, int]]:
    return {(each.code, each.call_sites[0].line) for each in found}


def is_expected(recommendation: Recommendation, expected: Expected) -> bool:
    """Whether it is the finding, says what to write, and where."""
    line = recommendation.call_sites[0].line
    place = f":{expected.parents} " if expected.parents else ""
    same = (recommendation.code, line) == (expected.code, expected.line)
    return same and expected.text in recommendation.fix and place in recommendation.fix


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> sa.URL:
    return filled(sa.URL.create("sqlite", database=str(tmp_path_factory.mktemp("shapes") / "shapes.db")))


def filled(url: sa.URL) -> sa.URL:
    engine = sa.create_engine(url)
    fill(engine)
    engine.dispose()
    return url


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_shape(shape: Shape, dialect: str, request: pytest.FixtureRequest) -> None:
    if dialect not in shape.dialects:
        pytest.skip(f"no such shape on {dialect}")
    found = findings(shape, request.getfixturevalue(dialect))
    assert told(found) == {(each.code, each.line) for each in shape.expected}
    for each in shape.expected:
        assert any(is_expected(one, each) for one in found), [one.fix for one in found]
