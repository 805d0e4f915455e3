"""Recorders of threads: no count is lost, none is counted twice, none leaks."""

from __future__ import annotations

import threading

from dbperf.capture.recorder import Recorders
from dbperf.capture.settled import Settled
from dbperf.capture.slot import Slot
from dbperf.model.histogram import bucket_of


def recorders_of(limit: int, awake: object = None) -> Recorders:
    return Recorders(limit, Settled(written_down=awake is not None), awake)  # type: ignore[arg-type]


def in_thread(work: object) -> None:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    thread.join()


def count(recorders: Recorders, sql: str, nanoseconds: int, sample: object = None) -> Slot:
    """What the hot path does with an execution."""
    mine = recorders.mine()
    slot = mine.slots.get(sql) or recorders.new_slot(mine, sql, sql)
    slot.add(nanoseconds)
    slot.at(count.__code__, nanoseconds % 5).calls += 1
    if sample is not None:
        slot.samples.append(sample)
    slot.touched()
    return slot


def calls(recorders: Recorders) -> dict[str, int]:
    return {slot.sql: slot.calls for slot in recorders.total()[0]}


def test_a_dead_threads_counts_stay_and_its_recorder_goes() -> None:
    recorders = recorders_of(10)
    for _ in range(50):
        in_thread(lambda: count(recorders, "select 1", 100))
    assert len(recorders._living) <= 1
    (slot,) = recorders.total()[0]
    assert slot.calls == 50
    assert slot.read().buckets == {bucket_of(100): 50}
    assert not recorders._living
    assert calls(recorders) == {"select 1": 50}


def test_each_thread_has_its_own() -> None:
    recorders = recorders_of(10)
    seen = [recorders.mine(), recorders.mine()]
    in_thread(lambda: seen.append(recorders.mine()))
    assert seen[0] is seen[1] is not seen[2]


def test_what_there_is_no_room_for_is_counted_together() -> None:
    recorders = recorders_of(2)
    for number in (1, 2, 3, 3, 1):
        count(recorders, f"select {number}", 7)
    assert calls(recorders) == {"select 1": 2, "select 2": 1}
    counts = recorders.total()[1]
    assert (counts["folded_calls"], counts["folded_ns"]) == (2, 14)


def test_many_threads_share_the_room() -> None:
    recorders = recorders_of(2)
    for number in range(6):
        in_thread(lambda sql=f"select {number % 3}": count(recorders, sql, 1))  # type: ignore[misc]
    assert calls(recorders) == {"select 0": 2, "select 1": 2}
    assert recorders.total()[1]["folded_calls"] == 2


def test_timers_of_all_threads_add_up() -> None:
    recorders = recorders_of(2, awake=lambda: None)

    def work() -> None:
        recorders.mine().commit.add(100)
        recorders.mine().busy[3] = 1

    work()
    in_thread(work)
    for _, counts in (recorders.total(), recorders.fresh()):
        expected = {"commits": 2, "commit_ns": 200, f"commit.{bucket_of(100)}": 2, "busy.3": 2}
        assert {name: number for name, number in counts.items() if number} == expected
    in_thread(work)
    assert recorders.fresh()[1]["commits"] == 1


def test_reading_while_others_write() -> None:
    recorders = recorders_of(100_000)
    done = threading.Event()

    def work(thread: int) -> None:
        number = 0
        while not done.is_set() or number < 300:
            count(recorders, f"select {thread}, {number % 300}", number)
            number += 1
        written.append(number)

    written: list[int] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    seen = [sum(calls(recorders).values()) for _ in range(10)]
    done.set()
    for thread in threads:
        thread.join()
    assert seen == sorted(seen)
    assert sum(calls(recorders).values()) == sum(written)


def test_a_statement_run_from_everywhere_keeps_a_bounded_number_of_sites() -> None:
    slot = Slot("select 1", None)
    for _ in range(2):
        for offset in range(100):
            slot.at(test_each_thread_has_its_own.__code__, offset).calls += 1
    assert [site.calls for site in slot.sites.values()] == [*([2] * 64), 72]
    assert slot.at(None, 0).code is None


def nothing() -> None:
    """Who calls `fresh` is told when a thread begins; these tests need not know."""


def test_fresh_is_what_came_since() -> None:
    recorders = recorders_of(10, awake=nothing)
    for number, expected in ((3, 3), (0, None), (2, 2)):
        for _ in range(number):
            count(recorders, "select 1", 100)
        taken, _ = recorders.fresh()
        assert [(slot.sql, slot.calls, slot.ns) for slot in taken] == (
            [("select 1", expected, expected * 100)] if expected else []
        )
    assert calls(recorders) == {"select 1": 5}


def test_failures_are_fresh_once() -> None:
    recorders = recorders_of(10, awake=nothing)
    for name in ("UniqueViolation", "QueryCanceled", "UniqueViolation"):
        count(recorders, "select 1", 100).failed("errors", name)
    ((slot,), _) = recorders.fresh()
    assert (slot.errors, slot.failures) == (3, {"UniqueViolation": 2, "QueryCanceled": 1})
    count(recorders, "select 1", 100).failed("timeouts", "QueryCanceled")
    ((slot,), _) = recorders.fresh()
    assert (slot.errors, slot.timeouts, slot.failures) == (0, 1, {"QueryCanceled": 1})


def test_fresh_costs_nothing_for_what_was_not_touched() -> None:
    recorders = recorders_of(10, awake=nothing)
    for number in range(10):
        count(recorders, f"select {number}", 1)
    recorders.fresh()
    count(recorders, "select 7", 1)
    assert len(recorders._touched) == 1
    assert [slot.sql for slot in recorders.fresh()[0]] == ["select 7"]


def test_a_sample_is_handed_over_once() -> None:
    recorders = recorders_of(10, awake=nothing)
    count(recorders, "select 1", 1, sample=[1])
    assert [slot.samples for slot in recorders.fresh()[0]] == [[[1]]]
    count(recorders, "select 1", 1, sample=[1])  # equal, and another
    count(recorders, "select 1", 1)
    assert [slot.samples for slot in recorders.fresh()[0]] == [[[1]]]
    count(recorders, "select 1", 1)
    assert [slot.samples for slot in recorders.fresh()[0]] == [[]]


def test_fresh_of_threads_that_are_gone() -> None:
    recorders = recorders_of(10, awake=nothing)
    for _ in range(20):
        in_thread(lambda: count(recorders, "select 1", 1))
    assert sum(slot.calls for slot in recorders.fresh()[0]) == 20
    recorders.total()
    assert recorders.fresh()[0] == []


def test_what_there_was_no_room_for_is_fresh_once() -> None:
    recorders = recorders_of(1, awake=nothing)

    def work() -> None:
        for number in range(3):
            count(recorders, f"select {number}", 1)

    in_thread(work)
    work()
    taken, counts = recorders.fresh()
    assert (sum(slot.calls for slot in taken), counts["folded_calls"]) == (2, 4)
    recorders.total()
    assert recorders.fresh()[1]["folded_calls"] == 0
    count(recorders, "select 8", 1)
    assert recorders.fresh()[1]["folded_calls"] == 1


def test_nothing_is_lost_or_twice_while_others_write() -> None:
    recorders = recorders_of(10_000, awake=nothing)
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
    slots = [slot for _ in range(30) for slot in recorders.fresh()[0]]
    done.set()
    for thread in threads:
        thread.join()
    slots += recorders.fresh()[0]
    total = recorders.total()[0]
    assert sum(slot.calls for slot in slots) == sum(written) == sum(slot.calls for slot in total)
    assert sum(slot.ns for slot in slots) == sum(slot.ns for slot in total)
    assert sum(sum(slot.read().buckets.values()) for slot in slots) == sum(written)
    assert sum(site.calls for slot in slots for site in slot.sites.values()) == sum(written)


def test_who_writes_down_is_told_when_a_thread_begins() -> None:
    heard: list[int] = []
    recorders = recorders_of(10, awake=lambda: heard.append(threading.get_ident()))
    count(recorders, "select 1", 1)
    count(recorders, "select 1", 1)
    in_thread(lambda: count(recorders, "select 1", 1))
    assert len(heard) == 2
    assert heard[0] == threading.get_ident()


def test_where_nobody_writes_down_nothing_is_noted() -> None:
    recorders = recorders_of(10)
    for _ in range(3):
        in_thread(lambda: count(recorders, "select 1", 1))
    assert not recorders._touched
