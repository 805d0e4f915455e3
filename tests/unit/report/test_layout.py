from __future__ import annotations

import pytest
from rich.cells import cell_len

from dbperf.report.layout import clipped_middle


@pytest.mark.parametrize("width", [26, 21, 22, 47])
@pytest.mark.parametrize("text", ["GET /" + "a" * 60 + "/last", "表" * 40])
def test_both_ends_of_a_name_are_kept(text: str, width: int) -> None:
    cut = clipped_middle(text, width)
    assert width - 2 <= cell_len(cut) <= width
    assert cut.count("…") == 1
    assert cut.startswith(text[:2])
    assert cut.endswith(text[-2:])


def test_a_name_that_fits_is_whole() -> None:
    assert clipped_middle("GET /", 5) == "GET /"
