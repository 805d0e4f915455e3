"""Of every shape exactly what its comments say is found, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg
import pytest
import sqlalchemy as sa

from dbperf.embedded import Server
from dbperf.model.recommendation import Recommendation
from shapes import one_by_one, wasted, well_done
from shapes.models import fill
from shapes.shape import DIALECTS, SHAPES, Expected, Shape, findings

assert one_by_one
assert wasted
assert well_done


def told(found: Iterable[Recommendation]) -> set[tuple[str, int]]:
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


@pytest.fixture(scope="module")
def postgresql(server: Server) -> Iterator[sa.URL]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shapes")
        yield filled(sa.make_url(server.url("psycopg", "shapes")))
        connection.execute("DROP DATABASE shapes WITH (FORCE)")


def filled(url: sa.URL) -> sa.URL:
    engine = sa.create_engine(url)
    fill(engine)
    engine.dispose()
    return url


@pytest.mark.parametrize(
    ("shape", "dialect"),
    [
        pytest.param(shape, dialect, id=f"{shape.name}-{dialect}")
        for shape in SHAPES
        for dialect in DIALECTS
        if dialect in shape.dialects
    ],
)
def test_shape(shape: Shape, dialect: str, request: pytest.FixtureRequest) -> None:
    found = findings(shape, request.getfixturevalue(dialect))
    assert told(found) == {(each.code, each.line) for each in shape.expected}
    for each in shape.expected:
        assert any(is_expected(one, each) for one in found), [one.fix for one in found]
