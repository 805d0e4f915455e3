"""Recorders of threads: no count is lost, none is counted twice, none leaks."""

from __future__ import annotations

import threading

from dbperf.capture.recorder import Recorders
from dbperf.model.histogram import bucket_of


def in_thread(work: object) -> None:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    thread.join()


def test_a_dead_threads_counts_stay_and_its_recorder_goes() -> None:
    recorders = Recorders(10)

    def work() -> None:
        slot = recorders.mine().slot("select 1")
        assert slot is not None
        slot.executed(100, 1)

    for _ in range(50):
        in_thread(work)
    assert len(recorders._living) <= 1
    total = recorders.total()
    assert total.slots["select 1"].calls == 50
    assert total.slots["select 1"].latency == {bucket_of(100): 50}
    assert not recorders._living
    assert recorders.total().slots["select 1"].calls == 50


def test_each_thread_has_its_own() -> None:
    recorders = Recorders(10)
    seen = [recorders.mine(), recorders.mine()]
    in_thread(lambda: seen.append(recorders.mine()))
    assert seen[0] is seen[1] is not seen[2]


def test_a_full_recorder_counts_what_it_does_not_keep() -> None:
    recorders = Recorders(2)
    for number in (1, 2, 3, 3, 1):
        if slot := recorders.mine().slot(f"select {number}"):
            slot.executed(1, 1)
    total = recorders.total()
    assert {sql: slot.calls for sql, slot in total.slots.items()} == {"select 1": 2, "select 2": 1}
    assert total.folded == 2


def test_many_short_threads_do_not_grow_past_the_limit() -> None:
    recorders = Recorders(2)
    for number in range(6):

        def work(sql: str = f"select {number}") -> None:
            slot = recorders.mine().slot(sql)
            assert slot is not None
            slot.executed(1, 1)

        in_thread(work)
    total = recorders.total()
    assert len(total.slots) == 2
    assert total.folded + sum(slot.calls for slot in total.slots.values()) == 6


def test_reading_while_others_write() -> None:
    recorders = Recorders(100_000)
    done = threading.Event()

    def work(thread: int) -> None:
        number = 0
        while not done.is_set() or number < 300:
            slot = recorders.mine().slot(f"select {thread}, {number % 300}")
            assert slot is not None
            slot.executed(number, 1)
            slot.at((work.__code__, number % 7))
            number += 1
        written.append(number)

    written: list[int] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    seen = [sum(slot.calls for slot in recorders.total().slots.values()) for _ in range(10)]
    done.set()
    for thread in threads:
        thread.join()
    assert seen == sorted(seen)
    assert sum(slot.calls for slot in recorders.total().slots.values()) == sum(written)


def test_a_statement_run_from_everywhere_keeps_a_bounded_number_of_sites() -> None:
    slot = Recorders(1).mine().slot("select 1")
    assert slot is not None
    code = test_each_thread_has_its_own.__code__
    for _ in range(2):
        for offset in range(100):
            slot.at((code, offset))
    assert [calls for _, calls in slot.sites.values()] == [2] * 64


def nothing() -> None:
    """Who calls `fresh` is told when a thread begins; these tests need not know."""


def test_fresh_is_what_came_since() -> None:
    recorders = Recorders(10, awake=nothing)
    for number, expected in ((3, 3), (0, None), (2, 2)):
        for _ in range(number):
            count(recorders, "select 1", 100)
        taken, folded = recorders.fresh()
        assert [(sql, slot.calls, slot.execute_ns) for sql, slot in taken] == (
            [("select 1", expected, expected * 100)] if expected else []
        )
        assert folded == 0
    assert recorders.total().slots["select 1"].calls == 5


def count(recorders: Recorders, sql: str, nanoseconds: int, sample: object = None) -> None:
    """What an observer does with an execution."""
    if slot := recorders.mine().slot(sql):
        slot.executed(nanoseconds, 1)
        slot.at((count.__code__, nanoseconds % 5))
        if sample is not None:
            slot.samples.append(sample)
        if slot.clean:
            recorders.touched(sql, slot)


def test_fresh_costs_nothing_for_what_was_not_touched() -> None:
    recorders = Recorders(10, awake=nothing)
    for number in range(10):
        count(recorders, f"select {number}", 1)
    recorders.fresh()
    count(recorders, "select 7", 1)
    assert len(recorders._touched) == 1
    assert [sql for sql, _ in recorders.fresh()[0]] == ["select 7"]


def test_a_sample_is_handed_over_once() -> None:
    recorders = Recorders(10, awake=nothing)
    count(recorders, "select 1", 1, sample=[1])
    assert [slot.samples for _, slot in recorders.fresh()[0]] == [[[1]]]
    count(recorders, "select 1", 1, sample=[1])  # equal, and another
    count(recorders, "select 1", 1)
    assert [slot.samples for _, slot in recorders.fresh()[0]] == [[[1]]]
    count(recorders, "select 1", 1)
    assert [slot.samples for _, slot in recorders.fresh()[0]] == [[]]


def test_fresh_of_threads_that_are_gone() -> None:
    recorders = Recorders(10, awake=nothing)
    for _ in range(20):
        in_thread(lambda: count(recorders, "select 1", 1))
    assert sum(slot.calls for _, slot in recorders.fresh()[0]) == 20
    recorders.total()
    assert recorders.fresh() == ([], 0)


def test_what_there_was_no_room_for_is_fresh_once() -> None:
    recorders = Recorders(1, awake=nothing)

    def work() -> None:
        for number in range(3):
            count(recorders, f"select {number}", 1)

    in_thread(work)
    work()
    taken, folded = recorders.fresh()
    assert (sum(slot.calls for _, slot in taken), folded) == (2, 4)
    recorders.total()
    assert recorders.fresh() == ([], 0)
    count(recorders, "select 8", 1)
    assert recorders.fresh() == ([], 1)


def test_nothing_is_lost_or_twice_while_others_write() -> None:
    recorders = Recorders(10_000, awake=nothing)
    done = threading.Event()
    written: list[int] = []

    def work() -> None:
        number = 0
        while not done.is_set() or number < 500:
            count(recorders, f"select {number % 50}", number)
            number += 1
        written.append(number)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    slots = [slot for _ in range(30) for _, slot in recorders.fresh()[0]]
    done.set()
    for thread in threads:
        thread.join()
    slots += [slot for _, slot in recorders.fresh()[0]]
    total = recorders.total().slots.values()
    assert sum(slot.calls for slot in slots) == sum(written) == sum(slot.calls for slot in total)
    assert sum(slot.execute_ns for slot in slots) == sum(slot.execute_ns for slot in total)
    assert sum(sum(slot.latency.values()) for slot in slots) == sum(written)
    assert sum(calls for slot in slots for _, calls in slot.sites.values()) == sum(written)


def test_who_writes_down_is_told_when_a_thread_begins() -> None:
    heard: list[int] = []
    recorders = Recorders(10, awake=lambda: heard.append(threading.get_ident()))
    count(recorders, "select 1", 1)
    count(recorders, "select 1", 1)
    in_thread(lambda: count(recorders, "select 1", 1))
    assert len(heard) == 2
    assert heard[0] == threading.get_ident()


def test_where_nobody_writes_down_nothing_is_noted() -> None:
    recorders = Recorders(10)
    for _ in range(3):
        in_thread(lambda: count(recorders, "select 1", 1))
    assert not recorders._touched
