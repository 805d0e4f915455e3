"""The shapes as tests, for pytest plugins that judge a test by its statements; run by n_plus_one.py."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa
from shapes import one_by_one, wasted, well_done
from shapes.shape import SHAPES, Shape

MODULES = (one_by_one, wasted, well_done)
URL = os.environ["SHAPES_URL"]
CASES = [each for each in SHAPES if "sqlite" in each.dialects and not each.few]


@pytest.mark.parametrize("shape", CASES, ids=lambda shape: shape.name)
def test(shape: Shape) -> None:
    shape.run(sa.make_url(URL))
