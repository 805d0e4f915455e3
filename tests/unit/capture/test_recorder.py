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
        while not done.is_set() or number < 3000:
            slot = recorders.mine().slot(f"select {thread}, {number % 3000}")
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
