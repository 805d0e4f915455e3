from __future__ import annotations

from rich.cells import cell_len

from dbperf.model.report import Report
from dbperf.model.runtime import Figure, Operation, operations
from dbperf.report.operationrows import operation_rows
from dbperf.report.operations import operation_table, reached, spent


def operation(name: str = "job", **counts: int) -> Operation:
    return Operation(Figure.of("operation", name, "", counts))


def shown(*found: Operation, width: int = 80) -> list[str]:
    return [line.plain.rstrip() for line in operation_table(found, width)]


def test_an_operation_tells_its_time_and_what_of_it_is_the_database(busy: Report) -> None:
    _, _, header, *lines = shown(*operations(busy.figures))
    assert header.split() == ["total", "calls", "mean", "p95"]
    assert [" ".join(line.split()) for line in lines] == [
        "50.0 s 1,000 50.0 ms 48.2 ms GET /orders",
        "6.2 statements a call, 80% in the database",
        "checked after 3.00 ms, saved after 16.0 ms (900",
        "times)",
        "4 errors",
        "2.00 s 5,000 400 µs 410 µs GET /health",
        "no statement",
    ]


def test_the_slowest_ten_are_shown_and_the_rest_is_summed_up() -> None:
    found = tuple(operation(f"job {n}", calls=1, whole_ns=1_000_000_000) for n in range(12))
    lines = shown(*found)
    assert sum("no statement" in line for line in lines) == 10
    assert lines[-1] == "2 more operations, 2.00 s in total: --format json has them all"


def test_a_long_name_keeps_both_ends_and_one_line() -> None:
    name = "GET /api/v2/" + "long/" * 40 + "{id}"
    for width in (80, 120):
        (line,) = (line for line in shown(operation(name, calls=1), width=width) if "GET" in line)
        assert cell_len(line) == width
        assert "GET /api/" in line
        assert line.endswith("long/{id}")


def test_names_of_others_are_printable_and_never_empty() -> None:
    text = "\n".join(shown(operation("\x1b[31m\n\u202e", calls=1), operation("", calls=1)))
    assert r"\x1b[31m \u202e" in text
    assert "(no name)" in text
    assert "\x1b" not in text


def test_counts_that_do_not_add_up_are_no_error() -> None:
    assert spent(operation(statements=5)) == "0.0 statements a call, 0% in the database"
    assert spent(operation(calls=1, statements=12, whole_ns=10, execute_ns=25)) == (
        "12 statements a call, 250% in the database"
    )
    assert "-" in shown(operation(errors=1))[3]
    (row,) = operation_rows([operation(errors=1)]).rows
    assert (row.failures, row.bars) == ("1 error", ())


def test_markers_in_the_order_of_time() -> None:
    marked = operation(
        calls=2, **{"marker b": 2, "marker_ns b": 2_000, "marker a": 1, "marker_ns a": 9_000, "marker c": 2}
    )
    assert reached(marked) == "c after 0 s, b after 1.00 µs, a after 9.00 µs (1 time)"
    many = operation(calls=1, **{f"marker {n}": 1 for n in range(7)})
    assert reached(many).endswith("2 more markers")


def test_a_row_of_the_page(busy: Report) -> None:
    table = operation_rows(operations(busy.figures))
    assert table.columns == ("total", "calls", "mean", "p95", "statements", "database")
    first, second = table.rows
    assert [cell.text for cell in first.cells] == ["50.0 s", "1,000", "50.0 ms", "48.2 ms", "6.2", "80%"]
    assert [cell.value for cell in first.cells[-2:]] == ["6.2", "0.8"]
    assert [bar.share for bar in (*first.bars, *second.bars)] == [1, 0.04]
    assert not table.rest


def test_a_page_of_very_many_operations_stays_small() -> None:
    found = [operation(f"job {n}" * 1000, calls=1, whole_ns=9) for n in range(203)]
    table = operation_rows(found)
    assert len(table.rows) == 200
    assert table.rest == "3 more operations, 27 ns in total: --format json has them all"
    assert max(len(row.name) for row in table.rows) == 1000
